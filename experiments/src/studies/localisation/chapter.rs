//! The chapter.

use archaeo_report::document::Section;

use super::findings::LocalisationFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::study::{Chapter, Study};

pub(super) fn chapter(_: &LocalisationFindings, _: &Investigation, _: &Names) -> Chapter {
    let section = Section {
        id: super::LocalisationStudy::ID,
        title: super::LocalisationStudy::TITLE,
        blocks: Vec::new(),
    };
    Chapter::new(section, Vec::new())
}
