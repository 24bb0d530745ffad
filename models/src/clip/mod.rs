//! CLIP.

mod tokenizer;

pub use self::tokenizer::{CONTEXT, VOCABULARY, encode, tokenize};
