//! What the quantities are.

use archaeo_report::document::{Block, Text};
use archaeo_report::numbers::counted;

use super::super::Profile;

pub(super) fn definitions(profile: &Profile) -> Block {
    let mut definitions: Vec<(String, Text)> = vec![
        (
            "Multiply-adds".into(),
            "Of convolutions, dense layers and the two products of attention (queries with keys, weights with values), each counted \
             once, from the sizes; norms, activations and softmax are left out."
                .into(),
        ),
        (
            "Latency and throughput".into(),
            format!(
                "Median of {} after 2 that are not counted, models in turns, with the 95 % interval between two order statistics. \
                 Reading and preprocessing images is not part of it. Times are of this machine and of what else it did.",
                counted(profile.rounds, "timed pass")
            )
            .into(),
        ),
        (
            "Memory".into(),
            "The most bytes allocated at once during a pass, in allocations of 16 KiB or more, besides weights and what is kept packed \
             of them."
                .into(),
        ),
        (
            "Growth".into(),
            "The exponent of a power law in the number of pixels, by least squares of logarithms over the sizes shown, with Student's t \
             interval: 1 where cost is proportional to pixels, 2 where every pixel meets every other."
                .into(),
        ),
    ];
    let not_taken: Vec<String> = (profile.models.iter())
        .flat_map(|model| {
            model.not_taken.iter().map(|(size, why)| format!("{} at {size}\u{a0}px: {why}", model.name))
        })
        .collect();
    if !not_taken.is_empty() {
        definitions.push(("Not measured".into(), format!("{}.", not_taken.join("; ")).into()));
    }
    Block::Definitions(definitions)
}
