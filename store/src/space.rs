//! Free disk space.

use std::path::Path;

/// Bytes that this user may still write where `path` is, or where the nearest of its folders that exists is; `None` where the
/// system does not say.
#[cfg(unix)]
pub fn free_space(path: &Path) -> Option<u64> {
    let found = path.ancestors().map(|folder| match folder.as_os_str().is_empty() {
        true => rustix::fs::statvfs("."),
        false => rustix::fs::statvfs(folder),
    });
    let found = found.flatten().next()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes that this user may still write where `path` is; here the system is not asked.
#[cfg(not(unix))]
pub fn free_space(_: &Path) -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_does_not_exist_yet_has_the_room_of_the_one_it_will_be_in() {
        let folder = tempfile::tempdir().unwrap();
        let free = free_space(folder.path()).unwrap();
        assert!(free > 0);
        assert!(free_space(&folder.path().join("a/b")).unwrap() > 0);
    }
}
