//! The chapter.

use archaeo_report::document::Section;

use super::findings::AttackFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};


pub(super) fn chapter(_: &AttackFindings, _: &Investigation, _: &Names) -> Chapter {
    let section = Section { id: super::AttacksStudy::ID, title: super::AttacksStudy::TITLE, blocks: Vec::new() };
    Chapter::new(section, Vec::new())
}
