//! The chapter.

use archaeo_report::document::Section;

use super::findings::AccuracyFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};


pub(super) fn chapter(_: &AccuracyFindings, _: &Investigation, _: &Names) -> Chapter {
    let section = Section { id: super::AccuracyStudy::ID, title: super::AccuracyStudy::TITLE, blocks: Vec::new() };
    Chapter::new(section, Vec::new())
}
