//! What the command line lets one choose from, as the libraries list it.

use archaeo_analysis::attacks::{self, Norm};
use archaeo_analysis::attribution;
use archaeo_analysis::audit;
use archaeo_lab::DOCTOR;
use archaeo_training::trackers;
use clap::builder::{PossibleValue, PossibleValuesParser};

/// Every method that makes heatmaps.
pub fn methods() -> PossibleValuesParser {
    let listed = attribution::methods().iter().map(|method| method.info());
    listed
        .map(|info| {
            let earlier = attribution::EARLIER_IDS.iter().filter(|(_, id)| *id == info.id);
            choice(info.id, info.summary, info.paper.map(|paper| paper.citation))
                .aliases(earlier.map(|(earlier, _)| *earlier))
        })
        .collect::<Vec<_>>()
        .into()
}

/// Every method, or all.
pub fn all_or_methods() -> PossibleValuesParser {
    let listed = attribution::methods().iter().map(|method| PossibleValue::new(method.info().id));
    [PossibleValue::new("all")].into_iter().chain(listed).collect::<Vec<_>>().into()
}

/// What methods there are, in one sentence.
pub fn methods_in_words() -> String {
    let ids: Vec<&str> = attribution::methods().iter().map(|method| method.info().id).collect();
    format!(
        "Heatmaps to make; by default all that apply to the model. There are {}; `archaeo attention --help` says what each computes.",
        ids.join(", ")
    )
}

/// Every departure from a paper.
pub fn departures() -> PossibleValuesParser {
    let listed = audit::departures().iter().map(|departure| departure.info());
    listed.map(|info| choice(info.id, info.title, None)).collect::<Vec<_>>().into()
}

/// Every attack, and the doctor.
pub fn attacks() -> PossibleValuesParser {
    let listed = attacks::all().iter().map(|family| family.info);
    let doctor = choice(DOCTOR, "checks that tell robustness from attacks that fail", None);
    listed
        .map(|info| choice(info.id, info.summary, info.paper.map(|paper| paper.citation)))
        .chain([doctor])
        .collect::<Vec<_>>()
        .into()
}

/// Every tracker.
pub fn trackers() -> PossibleValuesParser {
    let listed = trackers::all().iter().map(|kind| choice(kind.id, kind.title, None));
    listed.collect::<Vec<_>>().into()
}

/// What sizes of attacks are, norm by norm.
pub fn attack_sizes() -> String {
    let of_norm = |norm: Norm| {
        let ids: Vec<&str> = attacks::all()
            .iter()
            .filter(|family| family.info.norm == norm)
            .map(|family| family.info.id)
            .collect();
        let usual = norm.usual().map(|size| size.to_string()).join(",");
        format!("{}: {} (default {usual})", ids.join(" and "), norm.describe())
    };
    format!("Sizes of the perturbation. {}", Norm::ALL.map(of_norm).join(". "))
}

fn choice(id: &'static str, summary: &str, citation: Option<&str>) -> PossibleValue {
    let mut words = summary.to_owned();
    let mut letters = summary.chars();
    if let Some(first) = letters.next() {
        words = first.to_uppercase().chain(letters).collect();
    }
    if let Some(citation) = citation {
        words += &format!(" ({citation})");
    }
    PossibleValue::new(id).help(words)
}
