//! How many heads have a role that both halves confirm.

use archaeo_report::Claim;
use archaeo_report::numbers::{counted, p_value};

use super::AtlasStudy;
use super::findings::AtlasFindings;
use crate::report::Names;
use crate::study::Study;
use crate::subjects::ByModel;

pub(super) fn claims(findings: &ByModel<AtlasFindings>, names: &Names) -> Vec<Claim> {
    let claim = |(model, found): (_, &AtlasFindings)| {
        let roles = &found.roles;
        Claim {
            section: AtlasStudy::ID,
            topic: "Roles of heads",
            statement: format!(
                "{} of {} of {} have a role that both halves of the images confirm.",
                roles.confirmed,
                counted(roles.heads, "head"),
                names.the(model)
            ),
            evidence: format!(
                "With the second half taken from a random head, {:.1} would on average; {} (shuffled heads, adjusted over \
                 models).",
                roles.shuffled,
                p_value(roles.adjusted_p)
            ),
        }
    };
    findings.iter().map(claim).collect()
}
