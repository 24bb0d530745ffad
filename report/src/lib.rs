//! What a report says, free of what it is about: a [`document`] of text, tables and figures, printed as one page of [`html`] or as
//! [`markdown`]; how numbers are written ([`numbers`]) and what an interval allows to be said ([`evidence`]).

pub mod document;
pub mod evidence;
pub mod html;
pub mod markdown;
pub mod numbers;

pub use document::Claim;
