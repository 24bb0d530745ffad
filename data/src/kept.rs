//! Decoded images that stay in memory, because training asks for each of them in every epoch.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Image;

/// Bytes of pixels that the images of one split may take.
const ROOM: usize = 512 << 20;

/// A place for every image of a split. Clones share the places.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    places: Arc<[OnceLock<Image>]>,
    /// Bytes that are free.
    room: Arc<AtomicUsize>,
}

impl Kept {
    pub(super) fn new(images: usize) -> Self {
        Self::with_room(images, ROOM)
    }

    fn with_room(images: usize, room: usize) -> Self {
        let places = (0..images).map(|_| OnceLock::new()).collect();
        Kept { places, room: Arc::new(AtomicUsize::new(room)) }
    }

    /// Image `i`: what lies in its place, or what `load` gives, which from then on lies there if there is room for it.
    pub(super) fn image<E>(
        &self,
        i: usize,
        load: impl FnOnce() -> Result<Image, E>,
    ) -> Result<Cow<'_, Image>, E> {
        let place = &self.places[i];
        if let Some(image) = place.get() {
            return Ok(Cow::Borrowed(image));
        }
        let image = load()?;
        let bytes = image.pixels.len();
        let take = |room: usize| room.checked_sub(bytes);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return Ok(Cow::Owned(image));
        }
        if place.set(image).is_err() {
            // Another thread has loaded it meanwhile.
            self.room.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(Cow::Borrowed(place.wait()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_room_for_is_loaded_once() {
        // Two of three images of 12 bytes fit into 30.
        let kept = Kept::with_room(3, 30);
        let loads = AtomicUsize::new(0);
        let image = |i: usize| {
            let load = || {
                loads.fetch_add(1, Ordering::Relaxed);
                Ok::<_, String>(Image::filled(2, 2, [i as u8; 3]))
            };
            kept.image(i, load).unwrap()
        };
        for (i, loaded) in [(0, 1), (1, 2), (2, 3), (0, 3), (1, 3), (2, 4)] {
            assert_eq!(*image(i), Image::filled(2, 2, [i as u8; 3]));
            assert_eq!(loads.load(Ordering::Relaxed), loaded, "after image {i}");
        }
        assert_eq!(kept.room.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn threads_that_load_the_same_image_take_its_room_once() {
        let kept = Kept::with_room(1, 30);
        let both_load = std::sync::Barrier::new(2);
        let load = || {
            both_load.wait();
            Ok::<_, String>(Image::filled(2, 2, [7; 3]))
        };
        std::thread::scope(|scope| {
            for thread in [scope.spawn(|| kept.image(0, load)), scope.spawn(|| kept.image(0, load))] {
                assert_eq!(*thread.join().unwrap().unwrap(), Image::filled(2, 2, [7; 3]));
            }
        });
        assert_eq!(kept.room.load(Ordering::Relaxed), 18);
    }

    #[test]
    fn what_cannot_be_loaded_is_tried_again() {
        let kept = Kept::new(1);
        assert_eq!(kept.image(0, || Err("it is empty")), Err("it is empty"));
        assert!(kept.image(0, || Ok::<_, &str>(Image::filled(1, 1, [0; 3]))).is_ok());
    }
}
