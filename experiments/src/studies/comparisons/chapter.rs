//! The chapter.

use archaeo_report::document::Section;

use super::findings::ComparisonFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};


pub(super) fn chapter(_: &ComparisonFindings, _: &Investigation, _: &Names) -> Chapter {
    let section = Section { id: super::ComparisonsStudy::ID, title: super::ComparisonsStudy::TITLE, blocks: Vec::new() };
    Chapter::new(section, Vec::new())
}
