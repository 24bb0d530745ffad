//! A cache of decoded images, because training asks for each of them in every epoch.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use archaeo_store::memory::memory;

use super::Image;

/// Bytes of pixels that stay in memory at the moment, of all splits.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// A slot for every image of a split. Clones share the slots.
#[derive(Debug, Clone)]
pub(super) struct Kept(Arc<Places>);

#[derive(Debug)]
struct Places {
    images: usize,
    /// Allocated when the first image is kept: most splits keep none.
    places: OnceLock<Box<[OnceLock<Box<Image>>]>>,
    /// Bytes used of the common limit.
    taken: AtomicU64,
}

impl Kept {
    pub(super) fn new(images: usize) -> Self {
        Kept(Arc::new(Places { images, places: OnceLock::new(), taken: AtomicU64::new(0) }))
    }

    /// Image `i`, if it is cached.
    pub(super) fn get(&self, i: usize) -> Option<&Image> {
        self.0.places.get()?[i].get().map(AsRef::as_ref)
    }

    /// Caches image `i` if there is room, and returns it.
    pub(super) fn keep(&self, i: usize, image: Image) -> Cow<'_, Image> {
        let places = self.0.places.get_or_init(|| (0..self.0.images).map(|_| OnceLock::new()).collect());
        let bytes = image.pixels().len() as u64;
        if !self.0.take(bytes) {
            return Cow::Owned(image);
        }
        if places[i].set(Box::new(image)).is_err() {
            // Another thread has loaded it meanwhile.
            self.0.give_back(bytes);
        }
        Cow::Borrowed(places[i].wait())
    }
}

impl Places {
    fn take(&self, bytes: u64) -> bool {
        let most = memory().for_pictures();
        let take = |taken: u64| taken.checked_add(bytes).filter(|taken| *taken <= most);
        let taken = TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if taken {
            self.taken.fetch_add(bytes, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
        TAKEN.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        TAKEN.fetch_sub(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_room_for_stays() {
        let kept = Kept::new(2);
        assert!(kept.get(0).is_none());
        let image = Image::filled(2, 2, [7; 3]);
        assert!(matches!(kept.keep(0, image.clone()), Cow::Borrowed(_)));
        assert_eq!((kept.get(0), kept.get(1)), (Some(&image), None));
        assert_eq!(kept.clone().get(0), Some(&image), "clones share the places");
        assert_eq!(kept.0.taken.load(Ordering::Relaxed), 12);

        let most = memory().for_pictures();
        assert!(!kept.0.take(most));
        assert_eq!(kept.0.taken.load(Ordering::Relaxed), 12, "nothing is taken of what does not fit");
    }

    #[test]
    fn threads_that_load_the_same_image_take_its_room_once() {
        let kept = Kept::new(1);
        let both_load = std::sync::Barrier::new(2);
        let load = || {
            both_load.wait();
            kept.keep(0, Image::filled(2, 2, [7; 3]))
        };
        std::thread::scope(|scope| {
            for thread in [scope.spawn(load), scope.spawn(load)] {
                assert_eq!(*thread.join().unwrap(), Image::filled(2, 2, [7; 3]));
            }
        });
        assert_eq!(kept.0.taken.load(Ordering::Relaxed), 12);
    }
}
