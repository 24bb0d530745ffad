//! The chapter on findings with known answers.

use archaeo_analysis::statistics::Measured;

use super::CausalStudy;
use super::findings::CausalFindings;
use crate::findings::Investigation;
use crate::report::tests::synthetic::{estimate, investigation};
use crate::report::tests::{claims, html};
use crate::study::Study;

fn statements(found: &Investigation) -> Vec<String> {
    let claims = claims(found).into_iter();
    claims.filter(|claim| claim.section == CausalStudy::ID).map(|claim| claim.statement).collect()
}

fn findings(found: &Investigation) -> CausalFindings {
    found.findings::<CausalStudy>().expect("findings of this version").expect("the study has run")
}

#[test]
fn each_model_has_its_own_verdicts() {
    let said = statements(&investigation());
    let about = |title: &str, model: &str| {
        said.iter().any(|statement| {
            statement.starts_with(&format!(
                "{title} is shown to rank the parts of an image by their effect on {model}"
            ))
        })
    };
    assert!(about("Attention relevance", "the ViT") && about("Grad-CAM", "the ResNet"), "{said:#?}");
    assert!(!about("Grad-CAM", "the ViT") && !about("Attention relevance", "the ResNet"), "{said:#?}");
    assert!(said[0].contains("A random heatmap ranks them better than saliency."), "{}", said[0]);
}

#[test]
fn a_difference_that_is_not_tested_or_has_a_wide_interval_is_no_verdict() {
    let mut found = investigation();
    let mut causal = findings(&found);
    for score in &mut causal.models.values_mut().next().unwrap().methods {
        score.over_centre = None;
        if let Some(test) = &mut score.over_random {
            test.difference = estimate(test.difference.value, 1.0, 96);
        }
    }
    found.insert::<CausalStudy>(&causal);
    let said = statements(&found);
    assert!(
        said.iter().any(|statement| statement.starts_with("No explanation is shown to rank")
            && statement.contains("the ViT")
            && !statement.contains("A random heatmap ranks")),
        "{said:#?}"
    );
}

#[test]
fn rankings_that_disagree_are_said_to() {
    let mut found = investigation();
    let mut causal = findings(&found);
    let agreement = &mut causal.models.values_mut().nth(1).unwrap().agreement;
    agreement.mask_and_causal = Measured::Known(estimate(-0.6, 0.2, 96));
    found.insert::<CausalStudy>(&causal);
    let said = statements(&found).join("\n");
    assert!(said.contains("rank the explanations the other way round"), "{said}");
    assert!(said.contains("rank the explanations alike"), "{said}");
}

#[test]
fn the_page_has_every_score_with_its_baselines() {
    let page = html(&investigation(), &|_| Some(Vec::new()));
    for needle in ["id=\"causal\"", "saliency", "object removed", "Single deletion"] {
        assert!(page.contains(needle), "{needle}");
    }
}
