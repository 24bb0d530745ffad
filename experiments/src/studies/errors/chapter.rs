//! The chapter.

use archaeo_report::document::Section;

use super::findings::ErrorFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};


pub(super) fn chapter(_: &ErrorFindings, _: &Investigation, _: &Names) -> Chapter {
    let section = Section { id: super::ErrorsStudy::ID, title: super::ErrorsStudy::TITLE, blocks: Vec::new() };
    Chapter::new(section, Vec::new())
}
