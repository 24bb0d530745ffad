//! The chapter.

use archaeo_report::document::Section;

use super::findings::AttentionFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};
use crate::subjects::ByModel;

pub(super) fn chapter(_: &ByModel<AttentionFindings>, _: &Investigation, _: &Names) -> Chapter {
    let section = Section { id: super::AttentionStudy::ID, title: super::AttentionStudy::TITLE, blocks: Vec::new() };
    Chapter::new(section, Vec::new())
}
