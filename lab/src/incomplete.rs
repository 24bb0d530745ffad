//! What all downloads have in common: one process at a time fetches a file, there is room for it, and it does not stand still.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use archaeo_store::{Lock, StoreError, free_space};

/// How long a lock may be held by a process that fetches nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A transfer that brings fewer bytes than [`LEAST`] in this time stands still, however regularly they drip.
const WINDOW: Duration = Duration::from_secs(60);
const LEAST: u64 = 4096;

/// Takes a lock, waiting while another process fetches what it is of: as long as `incomplete` grows.
///
/// # Errors
/// Why not, as a clause.
pub(crate) fn lock(path: &Path, incomplete: &Path) -> Result<Lock, String> {
    make_folder_of(path).map_err(|error| error.to_string())?;
    let (mut seen, mut since) = (length(incomplete), Instant::now());
    loop {
        if let Some(lock) = Lock::try_take(path).map_err(|error| error.to_string())? {
            return Ok(lock);
        }
        let now = length(incomplete);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(format!(
                "another process holds {} and has fetched nothing for {seconds} s",
                path.display()
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Refuses what there is no room for next to `incomplete`, before anything of it is fetched.
///
/// # Errors
/// What is needed and what is free, as a clause.
pub(crate) fn check_space(name: &str, needed: u64, incomplete: &Path) -> Result<(), String> {
    match free_space(incomplete) {
        Some(free) if free < needed => {
            Err(format!("{name} needs {} more, and {} are free", in_units(needed), in_units(free)))
        }
        _ => Ok(()),
    }
}

/// Notices a transfer that stands still.
pub(crate) struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    pub fn new() -> Self {
        Self { since: Instant::now(), bytes: 0 }
    }

    /// Whether the transfer still moves, after `bytes` more.
    pub fn moves(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        if self.since.elapsed() <= WINDOW {
            return true;
        }
        let moved = self.bytes >= LEAST;
        *self = Self::new();
        moved
    }
}

/// Bytes that there are of a file.
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Makes the folder that a file is to be in.
///
/// # Errors
/// A folder that cannot be made.
pub(crate) fn make_folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(StoreError::io("create", folder))
}

/// A number of bytes, in the unit that suits it.
pub(crate) fn in_units(bytes: u64) -> String {
    match bytes as f64 {
        few if few < 1e6 => format!("{bytes} bytes"),
        some if some < 1e9 => format!("{:.1} MB", some / 1e6),
        many => format!("{:.1} GB", many / 1e9),
    }
}
