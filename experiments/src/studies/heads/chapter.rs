//! The chapter.

use archaeo_report::document::Section;

use super::findings::HeadFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};
use crate::subjects::ByModel;

pub(super) fn chapter(_: &ByModel<HeadFindings>, _: &Investigation, _: &Names) -> Chapter {
    let section = Section { id: super::HeadsStudy::ID, title: super::HeadsStudy::TITLE, blocks: Vec::new() };
    Chapter::new(section, Vec::new())
}
