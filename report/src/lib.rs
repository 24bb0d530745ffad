//! A report, independent of its subject: a [`document`] of text, tables and figures, printed as one page of [`html`], as
//! [`markdown`] or on paper ([`typst`]; its tables in [`latex`]), or as a [`notebook`]; number formatting ([`numbers`]) and the statements that an interval supports ([`evidence`]).

pub mod bibliography;
pub mod document;
pub mod evidence;
pub mod html;
pub mod latex;
pub mod markdown;
pub mod notebook;
pub mod numbers;
pub mod typst;

pub use document::Claim;
