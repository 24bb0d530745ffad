//! The chapter.

use archaeo_report::document::Section;

use super::findings::ShapeBiasFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};


pub(super) fn chapter(_: &ShapeBiasFindings, _: &Investigation, _: &Names) -> Chapter {
    let section = Section { id: super::ShapeBiasStudy::ID, title: super::ShapeBiasStudy::TITLE, blocks: Vec::new() };
    Chapter::new(section, Vec::new())
}
