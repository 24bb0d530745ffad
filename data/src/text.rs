//! Text in common encodings: names in archives and on disks, and lists.
//!
//! No byte is ever replaced, so different names stay different.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use archaeo_store::memory::memory;
use archaeo_store::read_text;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::DataError;
use super::storage::Storage;

/// Number of bytes used to guess an encoding.
const LOOKED_AT: usize = 1 << 16;

/// A decoded text.
pub(super) struct Text {
    pub(super) text: String,
    /// Its encoding, if not UTF-8.
    pub(super) encoding: Option<&'static str>,
}

/// Longest text of a list of names or classes, in bytes.
pub(super) const LONGEST_LIST: u64 = 16 << 20;

/// The text of a list in any encoding. Memory for the file and for the text, up to three times as long, is reserved while it is
/// decoded; the text itself should not be kept.
///
/// # Errors
/// As the end of a sentence.
pub(super) fn read(storage: &Storage) -> Result<Text, String> {
    let length = storage.length()?;
    let room = memory().pass(4 * length).map_err(|refused| refused.to_string())?;
    let text = decode(&storage.read()?);
    drop(room);
    text
}

/// A short text file in UTF-8.
///
/// # Errors
/// A file that cannot be read, or is longer than any such list.
pub(super) fn small_text(path: &Path) -> Result<String, DataError> {
    read_text(path, LONGEST_LIST).map_err(|error| DataError::read(path, error))
}

/// Decodes a file: by its byte order mark, as UTF-8, as UTF-16 without a mark, or in the most likely other encoding.
///
/// # Errors
/// As the end of a sentence, for bytes that are invalid in all of them.
pub(super) fn decode(bytes: &[u8]) -> Result<Text, String> {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0) => UTF_8,
        None => utf_16_without_mark(bytes).unwrap_or_else(|| likely(bytes)),
    };
    let (text, _, faulty) = encoding.decode(bytes);
    if faulty || text.contains('\0') {
        return Err(format!(
            "its encoding is not known ({} does not fit); save it as UTF-8",
            encoding.name()
        ));
    }
    let name = (encoding != UTF_8).then(|| encoding.name());
    Ok(Text { text: text.into_owned(), encoding: name })
}

/// Text that is mostly of one alphabet has zeros in every other byte.
fn utf_16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let zeros = |offset: usize| bytes.iter().skip(offset).step_by(2).filter(|&&byte| byte == 0).count();
    let most = bytes.len() / 4;
    match (zeros(0), zeros(1)) {
        (even, odd) if odd > most && odd > even => Some(UTF_16LE),
        (even, odd) if even > most && even > odd => Some(UTF_16BE),
        _ => None,
    }
}

fn likely(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(&bytes[..bytes.len().min(LOOKED_AT)], true);
    detector.guess(None, Utf8Detection::Deny)
}

/// Names as text: UTF-8 names unchanged, all others in their most likely common encoding, and its invalid bytes as `\x83`.
/// Different names give different texts. Also the name of that encoding, if it was used.
///
/// With `backslashes`, a backslash separates the parts of a path as `/` does, unless it is the second byte of a character.
pub(super) fn decode_names(raw: &[Vec<u8>], backslashes: bool) -> (Vec<String>, Option<&'static str>) {
    let separated = |text: &str| if backslashes { text.replace('\\', "/") } else { text.to_string() };
    let legacy: BTreeSet<&[u8]> =
        raw.iter().map(Vec::as_slice).filter(|name| std::str::from_utf8(name).is_err()).collect();
    if legacy.is_empty() {
        return (raw.iter().map(|name| separated(&String::from_utf8_lossy(name))).collect(), None);
    }
    let charset = Charset::of_names(&legacy);
    let mut uses: HashMap<String, usize> = HashMap::new();
    let legible: HashMap<&[u8], String> =
        legacy.iter().filter_map(|name| Some((*name, separated(&charset.decode(name)?)))).collect();
    legible.values().for_each(|text| *uses.entry(text.clone()).or_default() += 1);
    let plain: BTreeSet<String> =
        raw.iter().filter_map(|name| std::str::from_utf8(name).ok()).map(separated).collect();
    let names = raw.iter().map(|name| match (std::str::from_utf8(name), legible.get(name.as_slice())) {
        (Ok(text), _) => separated(text),
        (Err(_), Some(text)) if uses[text] == 1 && !plain.contains(text) => text.clone(),
        _ => escaped(name),
    });
    (names.collect(), Some(charset.name()))
}

/// Bytes above ASCII as `\x83`.
fn escaped(name: &[u8]) -> String {
    name.iter()
        .map(|&byte| if byte.is_ascii() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") })
        .collect()
}

#[derive(Clone, Copy)]
enum Charset {
    /// The encoding of zip archives by specification, and of Western European Windows, as far as letters go.
    Cp437,
    Other(&'static Encoding),
}

impl Charset {
    fn of_names(names: &BTreeSet<&[u8]>) -> Self {
        let all = names.iter().copied().collect::<Vec<_>>().join(&b'\n');
        let letters = all.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        let high = all.iter().filter(|byte| !byte.is_ascii()).count();
        // An accented letter stands among others, and second bytes of a character may be brackets.
        let accents =
            all.iter().filter(|byte| !byte.is_ascii()).all(|byte| matches!(byte, 0x80..=0xA5 | 0xE1));
        let brackets = all.windows(2).any(|pair| !pair[0].is_ascii() && b"@[\\]^`{|}~".contains(&pair[1]));
        if accents && !brackets && letters >= 2 * high {
            Charset::Cp437
        } else {
            Charset::Other(likely(&all))
        }
    }

    fn name(self) -> &'static str {
        match self {
            Charset::Cp437 => "CP437",
            Charset::Other(encoding) => encoding.name(),
        }
    }

    fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Charset::Other(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .map(|text| text.into_owned()),
            Charset::Cp437 => {
                let letter = |&byte: &u8| match byte {
                    0..=0x7F => Some(char::from(byte)),
                    0x80..=0xA5 => CP437_LETTERS.chars().nth(usize::from(byte) - 0x80),
                    0xE1 => Some('ß'),
                    _ => None,
                };
                bytes.iter().map(letter).collect()
            }
        }
    }
}

/// The bytes from 0x80 to 0xA5.
const CP437_LETTERS: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑ";

#[cfg(test)]
mod tests {
    use super::*;

    fn names(raw: &[&[u8]]) -> (Vec<String>, Option<&'static str>) {
        decode_names(&raw.iter().map(|name| name.to_vec()).collect::<Vec<_>>(), true)
    }

    #[test]
    fn names_are_read_in_the_encoding_that_they_are_in() {
        // ソース, ソフト and りんご; the second byte of ソ is a backslash.
        let japanese: [&[u8]; 3] = [
            b"\x83\x5c\x81\x5b\x83\x58/1.png",
            b"\x83\x5c\x83\x74\x83\x67/1.png",
            b"\x82\xe8\x82\xf1\x82\xb2/1.png",
        ];
        assert_eq!(
            names(&japanese),
            (vec!["ソース/1.png".into(), "ソフト/1.png".into(), "りんご/1.png".into()], Some("Shift_JIS"))
        );
        // 苹果, 香蕉 and 橘子 in GBK.
        let chinese: [&[u8]; 3] =
            [b"\xc6\xbb\xb9\xfb/1.png", b"\xcf\xe3\xbd\xb6/1.png", b"\xe9\xd9\xd7\xd3/1.png"];
        assert_eq!(
            names(&chinese),
            (vec!["苹果/1.png".into(), "香蕉/1.png".into(), "橘子/1.png".into()], Some("GBK"))
        );
        let german: [&[u8]; 2] = [b"B\x84r\\1.png", b"B\x94r\\1.png"];
        assert_eq!(names(&german), (vec!["Bär/1.png".into(), "Bör/1.png".into()], Some("CP437")));
        let latin: [&[u8]; 3] = [b"B\xe4r/1.png", b"B\xf6r/1.png", "Ente/é.png".as_bytes()];
        assert_eq!(
            names(&latin),
            (vec!["Bär/1.png".into(), "Bör/1.png".into(), "Ente/é.png".into()], Some("windows-1252"))
        );
        assert_eq!(names(&[b"a\\b.png"]), (vec!["a/b.png".into()], None));
    }

    #[test]
    fn names_that_no_encoding_gives_stay_apart() {
        // One name in Shift-JIS whose neighbours are not.
        let mixed: [&[u8]; 4] = [
            b"\x83\x5c\x81\x5b\x83\x58/\x82\xb1\x82\xea\x82\xcd/1.png",
            b"\x83\x5c\x81\x5b\x83\x58/\x82\xb1\x82\xea\x82\xcd/2.png",
            b"\xff\x01/1.png",
            b"\xfe\x01/1.png",
        ];
        let (texts, _) = names(&mixed);
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 4, "{texts:?}");
        assert!(texts.iter().all(|text| !text.contains('\u{FFFD}')), "{texts:?}");
        assert_eq!(escaped(b"a\x83\\b"), "a\\x83\\b");
    }

    #[test]
    fn lists_are_read_in_the_encoding_that_they_are_in() {
        let read = |bytes: &[u8]| decode(bytes).map(|text| (text.text, text.encoding));
        assert_eq!(read("B\u{e4}r".as_bytes()), Ok(("Bär".into(), None)));
        assert_eq!(read(b"\xef\xbb\xbfB\xc3\xa4r"), Ok(("Bär".into(), None)));
        assert_eq!(
            read(b"file,label\na.png,B\xe4r\n"),
            Ok(("file,label\na.png,Bär\n".into(), Some("windows-1252")))
        );
        let wide = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            mark.iter().copied().chain("a,Bär\n".encode_utf16().flat_map(bytes)).collect()
        };
        for mark in [&[][..], b"\xff\xfe"] {
            assert_eq!(read(&wide(mark, u16::to_le_bytes)), Ok(("a,Bär\n".into(), Some("UTF-16LE"))));
        }
        assert_eq!(read(&wide(b"\xfe\xff", u16::to_be_bytes)), Ok(("a,Bär\n".into(), Some("UTF-16BE"))));
        assert!(read(b"a\0\0\0b\xff").unwrap_err().contains("save it as UTF-8"));
    }
}
