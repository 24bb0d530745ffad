//! Whether the gradient ranks the heads as taking them away does.

use archaeo_analysis::statistics::Estimate;
use archaeo_report::Claim;
use archaeo_report::evidence::{Side, side};
use archaeo_report::numbers::{Unit, counted};

use super::super::HeadsStudy;
use super::Found;
use crate::report::Names;
use crate::report::names::capitalised;
use crate::study::Study;

/// Rank correlation from which on two rankings are called close.
const CLOSE_AGREEMENT: f64 = 0.5;

/// How the gradient ranks the heads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ranking {
    Close,
    Alike,
    Against,
    NotShown,
    Undefined,
}

impl Ranking {
    fn of(agreement: Option<&Estimate>) -> Self {
        match agreement.map(|agreement| (side(agreement, 0.0), side(agreement, CLOSE_AGREEMENT))) {
            None => Self::Undefined,
            Some((Side::Above, Side::Above)) => Self::Close,
            Some((Side::Above, _)) => Self::Alike,
            Some((Side::Below, _)) => Self::Against,
            Some((Side::Undecided, _)) => Self::NotShown,
        }
    }

    /// A sentence without its stop, of the heads of `models` where there are several to tell apart.
    fn sentence(self, models: Option<&str>) -> String {
        let of = models.map_or_else(String::new, |models| format!(" of {models}"));
        match self {
            Self::Close => format!("the gradient ranks the heads{of} much as taking them away does"),
            Self::Alike => format!(
                "the gradient's ranking of heads{of} agrees with taking them away, but is not shown to agree closely"
            ),
            Self::Against => format!("the gradient ranks the heads{of} against what taking them away shows"),
            Self::NotShown => {
                format!(
                    "no agreement between the gradient's ranking of heads{of} and taking them away can be shown"
                )
            }
            Self::Undefined => {
                format!("whether the gradient ranks the heads{of} as taking them away does cannot be said")
            }
        }
    }
}

pub(super) fn gradient(found: &[Found], names: &Names) -> Claim {
    let groups = found.iter().map(|(model, found)| (*model, Ranking::of(found.gradient_agreement.as_ref())));
    let groups = names.grouped(groups);
    let sentence = |(ranking, models): &(Ranking, String)| {
        ranking.sentence((found.len() > 1).then_some(models.as_str()))
    };
    let statement = groups.iter().map(sentence).collect::<Vec<_>>().join("; ");
    let evidence = match found {
        [(_, only)] => {
            let heads = counted(only.ranking.len(), "head");
            match &only.gradient_agreement {
                None => format!(
                    "Spearman's ρ of the two rankings is undefined over {heads}: too few, or all alike in one of them."
                ),
                Some(agreement) => format!(
                    "Spearman's ρ of the two rankings over {heads}: {}.",
                    Unit::Coefficient.sentence(agreement)
                ),
            }
        }
        several => {
            let each = several.iter().map(|(model, found)| {
                let rho = found.gradient_agreement.as_ref().map_or_else(
                    || "undefined (too few, or all alike in one of the rankings)".to_owned(),
                    |agreement| Unit::Coefficient.sentence(agreement),
                );
                format!("{} {rho} over {}", names.bare(*model), counted(found.ranking.len(), "head"))
            });
            format!("Spearman's ρ of the two rankings: {}.", each.collect::<Vec<_>>().join("; "))
        }
    };
    Claim {
        section: HeadsStudy::ID,
        topic: "Gradient against ablation",
        statement: format!("{}.", capitalised(&statement)),
        evidence,
    }
}
