//! The chapter.

use archaeo_report::document::Section;

use super::findings::TrustFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};


pub(super) fn chapter(_: &TrustFindings, _: &Investigation, _: &Names) -> Chapter {
    let section = Section { id: super::TrustStudy::ID, title: super::TrustStudy::TITLE, blocks: Vec::new() };
    Chapter::new(section, Vec::new())
}
