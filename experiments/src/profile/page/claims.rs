//! Which model is faster where, and what attention does to the cost.

use archaeo_analysis::statistics::{Estimate, Measured, PowerLaw};
use archaeo_report::evidence::{Side, apart, side};
use archaeo_report::numbers::{Unit, decimal, percent};

use super::super::{ModelCost, Profile};
use super::milliseconds;
use crate::report::Claim;

fn claim(statement: String, evidence: String) -> Claim {
    Claim { section: "cost", topic: "Cost", statement, evidence }
}

/// Which of two models is faster where, and what attention does to the cost.
pub(super) fn claims(profile: &Profile) -> Vec<Claim> {
    let pairs = profile
        .models
        .iter()
        .enumerate()
        .flat_map(|(place, first)| profile.models[place + 1..].iter().map(move |second| (first, second)));
    let mut claims: Vec<Claim> = pairs.map(|(first, second)| compared(first, second)).collect();
    claims.extend(profile.models.iter().filter_map(grown));
    claims
}

fn compared(first: &ModelCost, second: &ModelCost) -> Claim {
    let sides: Vec<(usize, Side)> = (first.sizes.iter())
        .filter_map(|size| {
            let other = second.sizes.iter().find(|other| other.image_size == size.image_size)?;
            Some((size.image_size, apart(&size.latency, &other.latency)))
        })
        .collect();
    let [of_first, of_second] = [first, second].map(|model| {
        let Estimate { value, low, high, .. } = milliseconds(&model.usual.latency);
        format!(
            "{} takes {}\u{a0}ms ({} to {}) for an image of {}\u{a0}px and classifies {} images per second",
            model.name,
            decimal(value, 1),
            decimal(low, 1),
            decimal(high, 1),
            model.usual.image_size,
            Unit::Coefficient.bare(model.throughput.value),
        )
    });
    let evidence = format!("{of_first}; {of_second}.");
    let faster = |side: Side| -> Vec<String> {
        sides.iter().filter(|(_, found)| *found == side).map(|(size, _)| size.to_string()).collect()
    };
    let (first_faster, second_faster) = (faster(Side::Below), faster(Side::Above));
    let all = |name: &str, other: &str| {
        format!("{name} is faster than {other} at every size of image that both were timed at.")
    };
    let statement = match (first_faster.len(), second_faster.len()) {
        (0, 0) if sides.is_empty() => {
            format!("{} and {} were timed at no common size of image.", first.name, second.name)
        }
        (0, 0) => format!("No difference in speed between {} and {} can be shown.", first.name, second.name),
        (of_first, _) if of_first == sides.len() => all(&first.name, &second.name),
        (_, of_second) if of_second == sides.len() => all(&second.name, &first.name),
        _ => {
            let where_faster = |name: &str, sizes: &[String]| match sizes.is_empty() {
                true => None,
                false => Some(format!("{name} is faster at {}\u{a0}px", sizes.join(", "))),
            };
            let parts =
                [where_faster(&first.name, &first_faster), where_faster(&second.name, &second_faster)];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("{}; elsewhere no difference can be shown.", parts.join(", "))
        }
    };
    claim(statement, evidence)
}

fn grown(model: &ModelCost) -> Option<Claim> {
    let Measured::Known(PowerLaw { exponent, .. }) = &model.time_growth else { return None };
    let (first, last) = (model.sizes.first()?, model.sizes.last()?);
    let how = match side(exponent, 1.0) {
        Side::Above => "faster than the number of pixels",
        Side::Below => "more slowly than the number of pixels",
        Side::Undecided => "about as fast as the number of pixels",
    };
    let statement = format!("The time of {} grows {how}.", model.name);
    let mut evidence = format!(
        "From {} to {}\u{a0}px time grows as the number of pixels to the power of {}",
        first.image_size,
        last.image_size,
        Unit::Coefficient.sentence(exponent)
    );
    if let Measured::Known(law) = &model.multiply_adds_growth {
        evidence += &format!(", multiply-adds to that of {}", decimal(law.exponent.value, 2));
    }
    if last.attention_multiply_adds > 0 {
        evidence += &format!(
            "; the products of attention are {} of the multiply-adds at the smallest size and {} at the largest",
            percent(first.attention_share()),
            percent(last.attention_share())
        );
    }
    Some(claim(statement, evidence + "."))
}
