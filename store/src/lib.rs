//! Files: written atomically, locked, hashed; arrays and tables in common formats; run folders. Nothing here depends on their
//! contents.
//!
//! [`write()`] and [`write_with`] write every output of the program: a new, exclusively created temporary file in the target's
//! folder, its contents flushed to disk, then one rename. A process that is killed leaves the old file unchanged and a temporary
//! that [`sweep`] removes.
//!
//! [`open`], [`read`], [`read_to_string`] and [`InputFile`] read every input: a pipe, a device or a socket is refused by name
//! instead of waited for, and a file truncated meanwhile is an error.

mod append;
pub mod arrays;
mod destination;
mod error;
mod hash;
mod input_file;
mod lock;
pub mod memory;
mod metered;
mod open;
mod read;
mod record_log;
pub mod run_folder;
mod space;
mod temporary;
mod write;
mod zip_contents;

pub use append::AppendFile;
pub use destination::{check_destination, same_file};
pub use error::StoreError;
pub use hash::{Digest, Sha256, sha256, sha256_file, sha256_path};
pub use input_file::{InputFile, InputReader};
pub use lock::Lock;
pub use metered::{Allowance, Metered};
pub use open::{NotAFile, look, open, read, read_to_string};
pub use read::{read_bytes, read_text};
pub use record_log::RecordLog;
pub use space::free_space;
pub use temporary::{is_temporary, sweep};
pub use write::{write, write_with};
pub use zip_contents::zip_contents;
