//! Whose robustness may be an illusion, and what carries over.

use archaeo_analysis::attacks::doctor::{Check, Health};
use archaeo_report::Claim;
use archaeo_report::evidence::SIGNIFICANCE;
use archaeo_report::numbers::{Unit, counted, epsilon, p_value, percent};

use super::DoctorStudy;
use super::findings::{Diagnosis, DoctorFindings, Transfer};
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::study::Study;
use crate::subjects::ModelName;

pub(super) fn claims(findings: &DoctorFindings, names: &Names) -> Vec<Claim> {
    let diagnoses = findings.models.iter().filter_map(|(model, of)| diagnosis(findings, model, of, names));
    let transfers = findings.transfers.iter().filter(|of| of.source != of.target);
    diagnoses.chain(transfers.filter_map(|of| transfer(findings, of, names)).take(MOST_TRANSFERS)).collect()
}

/// Sentences on transfer; all of them are in the table.
const MOST_TRANSFERS: usize = 6;

fn diagnosis(findings: &DoctorFindings, model: ModelName, of: &Diagnosis, names: &Names) -> Option<Claim> {
    let the = names.the(model);
    let with = |health: Health| -> Vec<&Check> {
        of.checks.iter().filter(|check| check.verdict == health).collect()
    };
    let (failed, open) = (with(Health::Fail), with(Health::CannotTell));
    let ids = |checks: &[&Check]| listed(&checks.iter().map(|check| check.id.clone()).collect::<Vec<_>>());
    let statement = match of.verdict? {
        Health::Pass => {
            format!("Nothing suggests that attacks on {the} fail for another reason than its robustness.")
        }
        Health::Fail => format!(
            "What looks like robustness of {the} may be an illusion: it fails the {} {}.",
            if failed.len() == 1 { "check" } else { "checks" },
            ids(&failed)
        ),
        Health::CannotTell => format!(
            "No check suggests that attacks on {the} fail for another reason than its robustness, but the images are too few to \
             decide {}.",
            ids(&open)
        ),
    };
    let whys: Vec<String> = failed
        .iter()
        .map(|check| {
            format!(
                "{}: {} ({}). {}",
                check.question,
                Unit::Percent.sentence(&check.found),
                check.measures,
                check.why
            )
        })
        .collect();
    let evidence = format!(
        "{} on {} that it classifies correctly, at ε = {}. The null is a sound model: of two attacks the stronger finds at least as \
         much. A model that hides its gradients breaks one of these rules.{}{}",
        capitalised(&counted(of.checks.len(), "check")),
        counted(of.examined, "image"),
        epsilon(findings.epsilon),
        if whys.is_empty() { "" } else { " " },
        whys.join(" ")
    );
    Some(Claim { section: DoctorStudy::ID, topic: "Robustness or illusion", statement, evidence })
}

fn transfer(findings: &DoctorFindings, of: &Transfer, names: &Names) -> Option<Claim> {
    let (fooled, noise) = (of.fooled.known()?, of.by_noise.known()?);
    let [source, target] = [of.source, of.target].map(|model| names.the(model));
    let own = findings.transfers.iter().find(|own| own.source == of.target && own.target == of.target);
    let own = own.and_then(|own| own.fooled.known());
    let statement = match of.p_value < SIGNIFICANCE && fooled.value > noise.value {
        true => format!(
            "Adversarial images of {source} fool {target}, too: {} of the images that both classify correctly.",
            percent(fooled.value)
        ),
        false => {
            format!("That adversarial images of {source} fool {target} more than noise does cannot be shown.")
        }
    };
    let evidence = format!(
        "PGD at ε = {} on {source}, shown to {target}: {}; the null, random noise of the same size: {} (exact McNemar test, adjusted \
         over pairs of models, {}).{}",
        epsilon(findings.epsilon),
        Unit::Percent.sentence(fooled),
        Unit::Percent.sentence(noise),
        p_value(of.p_value),
        own.map(|own| format!(" Attacked itself, {target} falls on {}.", percent(own.value)))
            .unwrap_or_default()
    );
    Some(Claim { section: DoctorStudy::ID, topic: "Transfer", statement, evidence })
}
