//! Unsupported archives and compressed files, recognised so that the error can say what to do.

use std::path::Path;

/// A kind of archive or compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Lzip,
    Zstandard,
    Lz4,
    Lzw,
    SevenZip,
    Rar,
}

impl Compression {
    /// By the first bytes of a file.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Compression); 11] = [
            (&[0x1F, 0x8B], Compression::Gzip),
            (b"BZh", Compression::Bzip2),
            (b"\xFD7zXZ\0", Compression::Xz),
            (&[0x5D, 0, 0], Compression::Lzma),
            (b"LZIP", Compression::Lzip),
            (&[0x28, 0xB5, 0x2F, 0xFD], Compression::Zstandard),
            (&[0x04, 0x22, 0x4D, 0x18], Compression::Lz4),
            (&[0x1F, 0x9D], Compression::Lzw),
            (&[0x1F, 0xA0], Compression::Lzw),
            (b"7z\xBC\xAF\x27\x1C", Compression::SevenZip),
            (b"Rar!\x1A\x07", Compression::Rar),
        ];
        MAGIC.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, kind)| *kind)
    }

    /// Why the file at `path` cannot be read, and what to do.
    pub(super) fn reason(self, path: &Path) -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let lower = name.to_lowercase();
        let stem = lower.rsplit_once('.').map_or("", |(stem, _)| stem);
        let is_tar = stem.ends_with(".tar")
            || lower.ends_with(".tar")
            || [".tgz", ".taz", ".tbz", ".tbz2", ".txz", ".tzst", ".tlz"]
                .iter()
                .any(|end| lower.ends_with(end));
        let (kind, tool) = match self {
            Compression::Gzip => ("gzip", "gunzip"),
            Compression::Bzip2 => ("bzip2", "bunzip2"),
            Compression::Xz => ("xz", "unxz"),
            Compression::Lzma => ("lzma", "unlzma"),
            Compression::Lzip => ("lzip", "lzip -d"),
            Compression::Zstandard => ("zstd", "unzstd"),
            Compression::Lz4 => ("lz4", "unlz4"),
            Compression::Lzw => ("compress", "uncompress"),
            Compression::SevenZip => {
                return format!(
                    "it is a 7z archive, which is not supported: unpack it with `7z x {name}` and give the folder"
                );
            }
            Compression::Rar => {
                return format!(
                    "it is a RAR archive, which is not supported: unpack it with `unrar x {name}` and give the folder"
                );
            }
        };
        let remedy = match is_tar {
            true => format!("unpack it with `tar -xf {name}` and give the folder"),
            false => format!("unpack it with `{tool} {name}`"),
        };
        format!("it is compressed with {kind}, so its parts cannot be read one by one: {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_fits_the_file() {
        let reason = |start: &[u8], name: &str| Compression::of(start).expect(name).reason(Path::new(name));
        for (start, name, kind, remedy) in [
            (&b"\x1F\x8B\x08"[..], "a/set.tar.gz", "gzip", "`tar -xf set.tar.gz`"),
            (b"\x1F\x8B\x08", "set.tgz", "gzip", "`tar -xf set.tgz`"),
            (b"\x1F\x8B\x08", "set.gz", "gzip", "`gunzip set.gz`"),
            (b"BZh91AY", "set.TAR.BZ2", "bzip2", "`tar -xf set.TAR.BZ2`"),
            (b"\xFD7zXZ\0\0", "set.tar.xz", "xz", "`tar -xf set.tar.xz`"),
            (b"\xFD7zXZ\0\0", "set.xz", "xz", "`unxz set.xz`"),
            (b"\x28\xB5\x2F\xFD\x04", "set.tar.zst", "zstd", "`tar -xf set.tar.zst`"),
            (b"7z\xBC\xAF\x27\x1C\0", "set.7z", "7z archive", "`7z x set.7z`"),
            (b"Rar!\x1A\x07\x01\0", "set.rar", "RAR archive", "`unrar x set.rar`"),
        ] {
            let reason = reason(start, name);
            assert!(reason.contains(kind) && reason.contains(remedy), "{name}: {reason}");
        }
        assert_eq!(Compression::of(b"ustar and others"), None);
    }
}
