//! One object: locked, taken up where it was left, never longer than it was listed, and of the version that was listed.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use archaeo_store::check_destination;
use object_store::path::Path as Location;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore};
use tokio::runtime::Runtime;

use super::cache::{Cache, incomplete};
use super::failure::{Failure, ignores_ranges};
use super::listing::Object;
use crate::incomplete::{Pace, length, lock, make_folder_of};
use crate::listener::Work;

/// How often an object is asked for, as long as each attempt brings some of it.
const ATTEMPTS: u32 = 4;

/// With what objects are fetched.
pub(super) struct Fetching<'a> {
    pub runtime: &'a Runtime,
    pub store: &'a dyn ObjectStore,
    pub cache: &'a Cache,
    pub work: &'a Work<'a>,
}

/// An object that is to be fetched.
pub(super) struct Download<'a> {
    pub object: &'a Object,
    pub fetching: &'a Fetching<'a>,
}

impl Download<'_> {
    /// Fetches the object into the cache, unless another process does so meanwhile.
    pub fn fetch(&self) -> Result<(), Failure> {
        let Self { object, fetching: Fetching { cache, work, .. } } = self;
        let path = cache.path(object);
        make_folder_of(&path)?;
        let incomplete = incomplete(&path);
        let _lock = lock(&path.with_added_extension("lock"), &incomplete).map_err(Failure::Disk)?;
        if cache.has(object) {
            work.advance(object.size as usize);
            return Ok(());
        }
        check_destination(&incomplete)?;
        if length(&incomplete) > object.size {
            fs::remove_file(&incomplete).map_err(|error| Failure::of_disk(&error))?;
        }
        work.advance(length(&incomplete) as usize);
        let mut attempt = 1;
        loop {
            let before = length(&incomplete);
            match self.attempt(&incomplete) {
                Ok(()) => break,
                // A store that sends something is asked again; `object_store` has repeated requests without an answer.
                Err(Failure::Unreachable { .. }) if length(&incomplete) > before && attempt < ATTEMPTS => {
                    std::thread::sleep(Duration::from_millis(250) * attempt);
                    attempt += 1;
                }
                Err(failure) => {
                    if matches!(failure, Failure::Changed(_)) {
                        // It is of no use to any version.
                        let _ = fs::remove_file(&incomplete);
                    }
                    return Err(failure);
                }
            }
        }
        fs::rename(&incomplete, &path).map_err(|error| Failure::of_disk(&error))
    }

    /// Goes on with what there is of the object, up to its end.
    fn attempt(&self, incomplete: &Path) -> Result<(), Failure> {
        let disk = |error: std::io::Error| Failure::of_disk(&error);
        let options = OpenOptions::new().write(true).create(true).truncate(false).open(incomplete);
        let mut file = options.map_err(disk)?;
        let mut start = file.metadata().map_err(disk)?.len();
        if start < self.object.size || self.object.size == 0 {
            let location = self.object.location()?;
            let answer = match self.ask(&location, start) {
                Err(error) if start > 0 && ignores_ranges(&error) => {
                    start = 0;
                    self.ask(&location, start)
                }
                answer => answer,
            };
            let answer = answer.map_err(|error| Failure::of(error, &self.object.address))?;
            if !self.object.is(&answer.meta) {
                return Err(Failure::Changed(self.object.address.clone()));
            }
            file.set_len(start).map_err(disk)?;
            file.seek(SeekFrom::Start(start)).map_err(disk)?;
            self.copy(answer, &mut file, start)?;
            file.sync_all().map_err(disk)?;
        }
        Ok(())
    }

    /// Asks for the object from a byte on, as long as it is the version that was listed.
    fn ask(&self, location: &Location, start: u64) -> object_store::Result<GetResult> {
        let Self { object, fetching: Fetching { runtime, store, .. } } = self;
        // A weak ETag matches no condition; the answer has it, too.
        let strong = object.etag.as_ref().filter(|etag| !etag.starts_with("W/"));
        let options = GetOptions {
            range: (start > 0).then_some(GetRange::Offset(start)),
            if_match: strong.cloned(),
            ..GetOptions::default()
        };
        runtime.block_on(store.get_opts(location, options))
    }

    /// Copies an answer up to the end of the object and no further.
    fn copy(&self, answer: GetResult, file: &mut File, start: u64) -> Result<(), Failure> {
        let Self { object, fetching: Fetching { runtime, work, .. } } = self;
        let unreachable = |reason: String| Failure::Unreachable { address: object.address.clone(), reason };
        let (mut pace, mut position) = (Pace::new(), start);
        let mut pieces = answer.into_stream();
        runtime.block_on(async {
            while let Some(piece) = std::future::poll_fn(|context| pieces.as_mut().poll_next(context)).await {
                let at = format!("after {position} of {} bytes", object.size);
                let piece = match piece {
                    Ok(piece) => piece,
                    Err(error) => match Failure::of(error, &object.address) {
                        Failure::Unreachable { reason, .. } => {
                            return Err(unreachable(format!("{reason} {at}")));
                        }
                        failure => return Err(failure),
                    },
                };
                if position + piece.len() as u64 > object.size {
                    return Err(Failure::Changed(object.address.clone()));
                }
                file.write_all(&piece).map_err(|error| Failure::of_disk(&error))?;
                position += piece.len() as u64;
                work.advance(piece.len());
                if !pace.moves(piece.len() as u64) {
                    return Err(unreachable(format!("nothing more arrived in time {at}")));
                }
            }
            match position == object.size {
                true => Ok(()),
                false => Err(unreachable(format!(
                    "the connection ended after {position} of {} bytes",
                    object.size
                ))),
            }
        })
    }
}
