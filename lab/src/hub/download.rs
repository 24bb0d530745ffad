//! One file from the hub: locked, taken up where it was left, never longer than announced, and verified.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use archaeo_store::{Digest, Sha256, check_destination};

use super::cache::Repository;
use super::client::{Client, content_range, text};
use super::failure::Failure;
use crate::incomplete::{Pace, check_space, length, make_folder_of};
use crate::listener::{Amount, Kept, Listener, Unit, Work};

/// How often a file is asked for, as long as each attempt brings some of it.
pub(super) const ATTEMPTS: usize = 4;

/// A file on the hub.
pub(super) struct Blob<'a> {
    pub repository: &'a Repository,
    pub name: &'a str,
    pub address: &'a str,
    pub checksum: &'a str,
    pub size: u64,
    pub listener: &'a dyn Listener,
}

impl Blob<'_> {
    /// Fetches the file into the cache, unless it is there.
    pub fn fetch(&self, client: &Client) -> Result<(), Failure> {
        let path = self.repository.blob(self.checksum);
        make_folder_of(&path)?;
        let incomplete = path.with_added_extension("incomplete");
        let _lock = self.repository.lock(self.checksum, &incomplete)?;
        if path.exists() {
            return Ok(());
        }
        check_destination(&incomplete)?;
        let missing = self.size.saturating_sub(length(&incomplete));
        check_space(self.name, missing, &incomplete).map_err(Failure::Disk)?;
        let mut attempt = 1;
        loop {
            let before = length(&incomplete);
            let failure = match self.attempt(client, &incomplete) {
                Ok(()) => return fs::rename(&incomplete, &path).map_err(|error| Failure::of_disk(&error)),
                Err(failure) => failure,
            };
            let again = match failure {
                // The next attempt must begin anew.
                Failure::Damaged(_) => {
                    let _ = fs::remove_file(&incomplete);
                    true
                }
                // A server that sends nothing is asked once more, one that sends something as often as it takes.
                Failure::Unreachable(_) => length(&incomplete) > before || attempt == 1,
                _ => false,
            };
            if !again || attempt == ATTEMPTS {
                return Err(failure);
            }
            std::thread::sleep(Duration::from_millis(250 * attempt as u64));
            attempt += 1;
        }
    }

    /// Goes on with what there is of the file, up to its end, and verifies all of it.
    fn attempt(&self, client: &Client, incomplete: &PathBuf) -> Result<(), Failure> {
        let disk = |error: io::Error| Failure::of_disk(&error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(incomplete)
            .map_err(disk)?;
        let mut start = file.metadata().map_err(disk)?.len();
        if start > self.size {
            start = 0;
        }
        if start < self.size {
            let mut answer = client.get(self.address, Some(&format!("bytes={start}-")))?;
            let whole = answer.response.status().as_u16() == 200;
            if whole {
                start = 0;
            }
            self.check_answer(answer.response.status().as_u16(), answer.response.headers(), start)?;
            file.set_len(start).map_err(disk)?;
            file.seek(SeekFrom::Start(start)).map_err(disk)?;
            self.copy(answer.response.body_mut().as_reader(), &mut file, start)?;
            file.sync_all().map_err(disk)?;
        }
        self.verify(&mut file)
    }

    /// Whether an answer is the part of the file that was asked for.
    fn check_answer(&self, status: u16, headers: &ureq::http::HeaderMap, start: u64) -> Result<(), Failure> {
        let wrong = |reason: String| Err(Failure::Damaged(format!("{} {reason}", self.name)));
        if status == 416 {
            return wrong(format!("has nothing behind its byte {start}"));
        }
        if let Some((first, length)) = content_range(headers).filter(|_| status == 206) {
            if first != start {
                return wrong(format!("was sent from byte {first} on, not from {start}"));
            }
            if length.is_some_and(|length| length != self.size) {
                return wrong(format!("has {} bytes, and another time {}", self.size, length.unwrap_or(0)));
            }
        }
        let announced = text(headers, "content-length").and_then(|length| length.parse::<u64>().ok());
        match announced {
            Some(announced) if announced != self.size - start => {
                wrong(format!("was sent with {announced} bytes where {} are missing", self.size - start))
            }
            _ => Ok(()),
        }
    }

    /// Copies up to the announced end and no further.
    fn copy(&self, body: impl Read, file: &mut File, start: u64) -> Result<(), Failure> {
        self.listener.keeps(Kept::Download);
        let amount = Amount { total: self.size, unit: Unit::Bytes };
        let work = Work::begin(self.listener, self.name, Some(amount));
        self.listener.advance(start);
        let mut body = body.take(self.size - start);
        let mut buffer = vec![0; 1 << 16];
        let mut position = start;
        let mut pace = Pace::new();
        while position < self.size {
            let failed = |error: &io::Error, position| Failure::of_reading(error, position, self.size);
            let read = body.read(&mut buffer).map_err(|error| failed(&error, position))?;
            if read == 0 {
                return Err(failed(&io::Error::other("the connection ended"), position));
            }
            file.write_all(&buffer[..read]).map_err(|error| Failure::of_disk(&error))?;
            position += read as u64;
            work.advance(read);
            if !pace.moves(read as u64) {
                return Err(failed(&io::Error::from(io::ErrorKind::TimedOut), position));
            }
        }
        Ok(())
    }

    fn verify(&self, file: &mut File) -> Result<(), Failure> {
        file.seek(SeekFrom::Start(0)).map_err(|error| Failure::of_disk(&error))?;
        let found =
            checksum(file, self.size, self.checksum.len()).map_err(|error| Failure::of_disk(&error))?;
        if found.eq_ignore_ascii_case(self.checksum) {
            return Ok(());
        }
        Err(Failure::Damaged(format!("the checksum of {} is {found}, not {}", self.name, self.checksum)))
    }
}

/// The hub's checksum of a file: SHA-256 (64 digits) of large ones, Git's own (SHA-1 of a heading and the file) of small ones.
fn checksum(contents: &mut impl Read, size: u64, digits: usize) -> io::Result<String> {
    match digits {
        64 => digest(Sha256::new(), contents),
        _ => digest(sha1::Sha1::new().chain_update(format!("blob {size}\0")), contents),
    }
}

fn digest<D: Digest>(mut digest: D, contents: &mut impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match contents.read(&mut buffer)? {
            0 => return Ok(hex::encode(digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_both_kinds() {
        // What `git hash-object` and `sha256sum` say.
        let found = |digits| checksum(&mut b"hello\n".as_slice(), 6, digits).unwrap();
        assert_eq!(found(40), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(found(64), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    }
}
