//! CLIP's byte-pair tokenizer (Sennrich et al., 2016, over bytes; Radford et al., 2021, section 2.4).

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Tokens in the vocabulary.
pub const VOCABULARY: usize = 49_408;

/// Most tokens in a text.
pub const CONTEXT: usize = 77;

/// The two last tokens of the vocabulary, and their text forms.
const START: (&str, u32) = ("<start_of_text>", VOCABULARY as u32 - 2);
const END: (&str, u32) = ("<end_of_text>", VOCABULARY as u32 - 1);

/// Contractions that are tokenised as words.
const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// The long s, which counts as an s in `'s` because letters are compared without case.
const LONG_S: &str = "'ſ";

/// The merges, one per line, highest priority first.
const MERGES: &[u8] = include_bytes!("../../../data/clip_merges.txt.gz");

static VOCABULARY_OF_CLIP: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::read);

/// The symbols and their merges.
struct Vocabulary {
    /// Token of each byte in the middle of a word; at its end, 256 more.
    bytes: [u32; 256],
    /// Pairs of neighbours that merge: the rank of the merge, lower first, and the resulting symbol.
    merges: HashMap<(u32, u32), (u32, u32)>,
}

impl Vocabulary {
    fn read() -> Self {
        let mut text = String::new();
        GzDecoder::new(MERGES).read_to_string(&mut text).expect("the file is part of the program");
        let alphabet = alphabet();
        let mut bytes = [0; 256];
        let mut tokens: HashMap<String, u32> = HashMap::new();
        for (token, &(byte, letter)) in (0u32..).zip(&alphabet) {
            bytes[usize::from(byte)] = token;
            tokens.insert(letter.to_string(), token);
            tokens.insert(format!("{letter}</w>"), token + 256);
        }
        let pairs: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(' ')).collect();
        tokens.extend((512..).zip(&pairs).map(|(token, (left, right))| (format!("{left}{right}"), token)));
        let merge = |(rank, (left, right)): (u32, &(&str, &str))| {
            ((tokens[*left], tokens[*right]), (rank, tokens[&format!("{left}{right}")]))
        };
        Self { bytes, merges: (0..).zip(&pairs).map(merge).collect() }
    }

    /// Appends the tokens of one word.
    fn encode(&self, word: &str, tokens: &mut Vec<u32>) {
        let start = tokens.len();
        tokens.extend(word.bytes().map(|byte| self.bytes[usize::from(byte)]));
        if let Some(last) = tokens.last_mut() {
            *last += 256;
        }
        loop {
            let pairs = tokens[start..].windows(2);
            let merges = pairs.filter_map(|pair| self.merges.get(&(pair[0], pair[1])));
            let Some(&best) = merges.min() else { return };
            let (mut read, mut write) = (start, start);
            while read < tokens.len() {
                let pair = (tokens[read], tokens.get(read + 1).copied());
                let merged = pair.1.and_then(|right| self.merges.get(&(pair.0, right)));
                let merges = merged == Some(&best);
                tokens[write] = if merges { best.1 } else { pair.0 };
                read += if merges { 2 } else { 1 };
                write += 1;
            }
            tokens.truncate(write);
        }
    }
}

/// Bytes in the order of their tokens, and the letters that stand for them in the list of merges: printable ones for
/// themselves, the others for the letters from U+0100 on.
fn alphabet() -> Vec<(u8, char)> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let itself = (0..=255).filter(printable).map(|byte| (byte, char::from(byte)));
    let others = (0..=255).filter(|byte| !printable(byte));
    itself.chain(others.zip('\u{100}'..)).collect()
}

/// The input of the text tower: start, the tokens of the text, end; at most [`CONTEXT`] tokens. A text that is too long is
/// truncated.
///
/// A text is cleaned first as open_clip does it by default: HTML's character references are resolved, twice, runs of white
/// space become one space, and letters become lower case. The repairs of the package ftfy, which comes first there, are not done:
/// text that was decoded with the wrong encoding is not repaired, curly quotes stay curly, full-width letters wide and ligatures
/// joined, and letters are not composed (NFC).
pub fn tokenize(text: &str) -> Vec<u32> {
    let vocabulary = &*VOCABULARY_OF_CLIP;
    let text = htmlize::unescape(htmlize::unescape(text));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let mut tokens = vec![START.1];
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(word_length(rest, first));
        match [START, END].iter().find(|(special, _)| *special == word) {
            Some(&(_, token)) => tokens.push(token),
            None => vocabulary.encode(word, &mut tokens),
        }
        rest = after;
    }
    tokens.truncate(CONTEXT - 1);
    tokens.push(END.1);
    tokens
}

/// Bytes of the word that `rest` starts with: a start or end of text, a contraction, letters, one digit, or anything else but
/// white space.
fn word_length(rest: &str, first: char) -> usize {
    let fixed = [START.0, END.0].into_iter().chain(CONTRACTIONS).chain([LONG_S]);
    if let Some(word) = fixed.into_iter().find(|word| rest.starts_with(word)) {
        return word.len();
    }
    let kind = Kind::of(first);
    if kind == Kind::Number {
        return first.len_utf8();
    }
    rest.find(|letter| Kind::of(letter) != kind).unwrap_or(rest.len())
}

#[derive(PartialEq)]
enum Kind {
    Letter,
    Number,
    Space,
    Other,
}

impl Kind {
    fn of(letter: char) -> Self {
        match letter.general_category_group() {
            GeneralCategoryGroup::Letter => Self::Letter,
            GeneralCategoryGroup::Number => Self::Number,
            _ if letter.is_whitespace() => Self::Space,
            _ => Self::Other,
        }
    }
}
