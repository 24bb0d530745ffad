//! Hashes of files, in hexadecimal.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

pub use sha2::{Digest, Sha256};

use crate::StoreError;

/// Bytes that are read at once.
const PIECE: usize = 1 << 18;

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// An I/O error, with the path.
pub fn sha256_file(path: &Path) -> Result<String, StoreError> {
    let read = || -> io::Result<String> {
        let mut file = crate::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; PIECE];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex::encode(hash.finalize())),
                read => hash.update(&buffer[..read]),
            }
        }
    };
    read().map_err(StoreError::io("read", path))
}

/// SHA-256 in hexadecimal: of a file's contents, or of the names and hashes of the files in a folder.
///
/// # Errors
/// A file or folder that cannot be read.
pub fn sha256_path(path: &Path) -> Result<String, StoreError> {
    if !path.is_dir() {
        return sha256_file(path);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(StoreError::io("read", path))? {
        let path = entry.map_err(StoreError::io("read", path))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort_unstable();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(sha256_file(&file)?);
    }
    Ok(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_are_sha256() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        crate::write(&path, b"abc").unwrap();
        assert_eq!((sha256_file(&path).unwrap(), sha256_path(&path).unwrap()), (ABC.into(), ABC.into()));
        assert_eq!(sha256(b"abc"), ABC);
    }

    #[test]
    fn the_hash_of_a_folder_is_that_of_names_and_hashes() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b"), "abc").unwrap();
        fs::write(folder.path().join("a"), "abc").unwrap();
        assert_eq!(sha256_path(folder.path()).unwrap(), sha256(format!("a{ABC}b{ABC}").as_bytes()));
    }
}
