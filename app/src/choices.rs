//! What the command line lets one choose from, as the libraries list it.

use archaeo_analysis::attacks::{self, Goal, Loss, Norm};
use archaeo_analysis::attribution;
use archaeo_analysis::audit;
use archaeo_data::corruptions::{Corruption, CorruptionGroup};
use archaeo_lab::{DOCTOR, MINIMAL, SAGA};
use archaeo_training::trackers;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

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

/// Every attack, and the questions that take several.
pub fn attacks() -> PossibleValuesParser {
    let listed = attacks::all().iter().map(|family| family.info);
    let doctor = choice(DOCTOR, "checks that tell robustness from attacks that fail", None);
    listed
        .map(|info| {
            let earlier = attacks::EARLIER_IDS.iter().filter(|(_, id, _)| *id == info.id);
            let norms = info.norms.iter().map(|norm| norm.to_string()).collect::<Vec<_>>().join(", ");
            choice(info.id, &format!("{}; {norms}", info.summary), info.paper.map(|paper| paper.citation))
                .aliases(earlier.map(|(earlier, ..)| *earlier))
        })
        .chain([choice(
            MINIMAL,
            "the smallest perturbation of each image, by several attacks together, and the whole curve; L∞, L2, L1, L0",
            None,
        )])
        .chain([choice(
            SAGA,
            "one image for a model with attention heads and another network (--add); L∞",
            Some("Mahmood et al., 2021"),
        )])
        .chain([doctor])
        .collect::<Vec<_>>()
        .into()
}

/// A norm by its id.
pub fn norm() -> impl TypedValueParser<Value = Norm> {
    let listed = Norm::ALL.map(|norm| choice(norm.id(), norm.title(), None));
    PossibleValuesParser::new(listed)
        .map(|id| Norm::ALL.into_iter().find(|norm| norm.id() == id).expect("it is listed"))
}

/// A loss by its id.
pub fn loss() -> impl TypedValueParser<Value = Loss> {
    let listed = Loss::ALL.map(|loss| choice(loss.id(), loss.title(), None));
    PossibleValuesParser::new(listed)
        .map(|id| Loss::ALL.into_iter().find(|loss| loss.id() == id).expect("it is listed"))
}

/// Every corruption.
pub fn corruptions() -> impl TypedValueParser<Value = Corruption> {
    let ids = Corruption::ALL.map(|corruption| PossibleValue::new(corruption.id()));
    PossibleValuesParser::new(ids).map(|id| Corruption::named(&id).expect("it is one of them"))
}

/// What corruptions there are, in words.
pub fn corruptions_in_words() -> String {
    let listed =
        |of: &[Corruption]| of.iter().map(|corruption| corruption.id()).collect::<Vec<_>>().join(", ");
    let (common, others) = Corruption::ALL.split_at(Corruption::common().len());
    let (patches, extra): (Vec<Corruption>, Vec<Corruption>) =
        others.iter().partition(|of| of.group() == CorruptionGroup::Patches);
    format!(
        "Kinds of damage (Hendrycks and Dietterich, 2019): {}; and {}. By default the first {}. Of patches that change places or are gone: {}.",
        listed(common),
        listed(&extra),
        common.len(),
        listed(&patches)
    )
}

/// Every tracker.
pub fn trackers() -> PossibleValuesParser {
    let listed = trackers::all().iter().map(|kind| choice(kind.id, kind.title, None));
    listed.collect::<Vec<_>>().into()
}

/// What sizes of attacks are, norm by norm.
pub fn attack_sizes() -> String {
    let of_norm = |norm: Norm| {
        let usual = norm.usual().map(|size| size.to_string()).join(",");
        format!("{norm}: {} (default {usual})", norm.describe())
    };
    format!(
        "Sizes of the perturbation. {}. Of an attack that looks for the smallest perturbation ({}), the sizes at which accuracy is \
         read off.",
        Norm::ALL.map(of_norm).join(". "),
        listed(|info| info.goal == Goal::Smallest)
    )
}

/// The attacks that take a number of steps, each with its own.
pub fn attack_steps() -> String {
    let own = attacks::all()
        .iter()
        .filter_map(|family| family.info.steps.map(|steps| format!("{} {steps}", family.info.id)));
    format!("Steps of an iterated attack. By default: {}.", own.collect::<Vec<_>>().join(", "))
}

/// The attacks that can start again.
pub fn attack_restarts() -> String {
    format!("How often the attack starts, each time from another place: {}.", listed(|info| info.restarts))
}

/// Ids of the attacks that something is true of.
fn listed(of: impl Fn(&attacks::AttackInfo) -> bool) -> String {
    let ids: Vec<&str> =
        attacks::all().iter().map(|family| family.info).filter(|info| of(info)).map(|info| info.id).collect();
    ids.join(", ")
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
