//! Resolving names within a source.

/// Kind of source that the names come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A folder: the system gave them, and they lead nowhere else.
    Folder,
    /// A tar archive.
    Tar,
    /// A zip archive, in whose names a backslash separates parts as `/` does.
    Zip,
}

pub(super) const ABSOLUTE: &str = "an absolute path; pack it again from within its folder";
pub(super) const OUT: &str = "a path that leads out of the archive";

/// Greatest depth of a file below the common root, which keeps derived data within a multiple of the names themselves.
const DEEPEST: usize = 64;
pub(super) const TOO_DEEP: &str = "more than 64 folders deep";

/// The path of a member without empty parts, `.` and `..`.
///
/// # Errors
/// Why it cannot be one: an absolute path, with a drive's letter or without, or one that leads out. Other systems treat
/// backslashes as separators, so paths that lead out only there are refused as well.
pub(super) fn path_within(name: &str, origin: Origin) -> Result<String, &'static str> {
    if origin != Origin::Folder {
        let separators = ['/', '\\'];
        let drive =
            matches!(name.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
        if drive || name.starts_with(separators) {
            return Err(ABSOLUTE);
        }
        parts(name.split(separators)).ok_or(OUT)?;
    }
    parts(name.split('/')).map(|parts| parts.join("/")).ok_or(OUT)
}

/// What is left of a path's parts; nothing if it leads out of its root.
fn parts<'a>(path: impl Iterator<Item = &'a str>) -> Option<Vec<&'a str>> {
    let mut parts = Vec::new();
    for part in path {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts)
}

/// Whether a path has too many parts.
pub(super) fn is_too_deep(path: &str) -> bool {
    path.matches('/').count() > DEEPEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_are_told_from_those_that_do_not() {
        for (name, expected) in [
            ("a/b.png", Ok("a/b.png")),
            ("./a//b.png", Ok("a/b.png")),
            ("a/../b/c.png", Ok("b/c.png")),
            ("a/..b/...png", Ok("a/..b/...png")),
            ("c:d/x.png", Ok("c:d/x.png")),
            ("", Ok("")),
            ("./", Ok("")),
            ("/etc/x.png", Err(ABSOLUTE)),
            ("//a/x.png", Err(ABSOLUTE)),
            ("\\a\\x.png", Err(ABSOLUTE)),
            ("\\\\server\\share\\x.png", Err(ABSOLUTE)),
            ("C:\\a\\x.png", Err(ABSOLUTE)),
            ("c:/a/x.png", Err(ABSOLUTE)),
            ("../x.png", Err(OUT)),
            ("a/../../b.png", Err(OUT)),
            ("./../a/x.png", Err(OUT)),
            ("..\\a\\x.png", Err(OUT)),
            ("a\\..\\..\\x.png", Err(OUT)),
            ("a\\b/../../x.png", Err(OUT)),
            ("..", Err(OUT)),
        ] {
            assert_eq!(path_within(name, Origin::Tar), expected.map(str::to_string), "{name}");
            // The names of a zip archive have been brought to `/`, so that two folders stand before this one's `..`.
            let expected = if name == "a\\b/../../x.png" { Ok("x.png") } else { expected };
            assert_eq!(
                path_within(&name.replace('\\', "/"), Origin::Zip),
                expected.map(str::to_string),
                "{name}"
            );
        }
        assert_eq!(path_within("..\\x.png", Origin::Folder), Ok("..\\x.png".to_string()));
    }

    #[test]
    fn depth_counts_folders() {
        assert!(!is_too_deep(&format!("{}x.png", "a/".repeat(DEEPEST))));
        assert!(is_too_deep(&format!("{}x.png", "a/".repeat(DEEPEST + 1))));
        assert!(TOO_DEEP.contains(&DEEPEST.to_string()));
    }
}
