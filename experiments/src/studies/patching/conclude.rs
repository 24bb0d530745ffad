//! From records of pairs to what the parts of a model carry.

use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Measured, Resampling, SignFlipTest, benjamini_hochberg, mean_t, sign_flip_test, wilson,
};

use super::findings::{
    Carried, FactorPatching, PatchedHead, PatchedLayer, PatchedTokens, SceneFactor, SelectedCarrier,
};
use super::measure::{PairRecord, PatchingRecord};
use crate::scene::StudyError;

/// What the parts of one model carry of every factor. `chooses` says which pairs choose a head.
///
/// # Errors
/// Fewer than two pairs, or numbers that are not finite.
pub(super) fn concluded(
    records: &[PatchingRecord],
    tokens: &[PatchedTokens],
    chooses: &[bool],
    resampling: &Resampling,
) -> Result<Vec<FactorPatching>, StudyError> {
    let heads: &[usize] = records.first().map_or(&[], |record| &record.heads);
    let mut found = Vec::new();
    for (place, factor) in SceneFactor::ALL.into_iter().enumerate() {
        let pairs: Vec<&PairRecord> = records.iter().map(|record| &record.pairs[place]).collect();
        found.push(of_factor(factor, &pairs, heads, tokens, chooses, resampling)?);
    }
    let mut tests: Vec<&mut SignFlipTest> = found.iter_mut().flat_map(tests).collect();
    let adjusted = benjamini_hochberg(&tests.iter().map(|test| test.p_value).collect::<Vec<_>>())?;
    tests.iter_mut().zip(adjusted).for_each(|(test, p_value)| test.p_value = p_value);
    Ok(found)
}

/// Those of all parts, not of the selected head, which is one of them.
fn tests(of: &mut FactorPatching) -> impl Iterator<Item = &mut SignFlipTest> {
    let heads = of.heads.iter_mut().map(|head| &mut head.carried);
    let layers = of.layers.iter_mut().map(|layer| &mut layer.carried);
    heads.chain(layers).map(|carried| &mut carried.over_unrelated)
}

fn of_factor(
    factor: SceneFactor,
    pairs: &[&PairRecord],
    heads: &[usize],
    tokens: &[PatchedTokens],
    chooses: &[bool],
    resampling: &Resampling,
) -> Result<FactorPatching, StudyError> {
    let keys: Vec<(usize, usize)> = heads
        .iter()
        .enumerate()
        .flat_map(|(layer, &heads)| (0..heads).map(move |head| (layer, head)))
        .collect();
    let mut of_heads = Vec::with_capacity(keys.len());
    for (part, &(layer, head)) in keys.iter().enumerate() {
        of_heads.push(PatchedHead { layer, head, carried: carried(pairs, part, resampling)? });
    }
    let mut of_layers = Vec::with_capacity(heads.len() * tokens.len());
    for layer in 0..heads.len() {
        for (place, &tokens_of) in tokens.iter().enumerate() {
            let part = keys.len() + layer * tokens.len() + place;
            let carried = carried(pairs, part, resampling)?;
            of_layers.push(PatchedLayer { layer, tokens: tokens_of, carried });
        }
    }
    let sizes: Vec<f64> = pairs.iter().map(|pair| pair.change.abs()).collect();
    let other = pairs.iter().filter(|pair| pair.other_answer).count();
    Ok(FactorPatching {
        factor,
        change: mean_t(&sizes, DEFAULT_LEVEL)?,
        other_answer: wilson(other, pairs.len(), DEFAULT_LEVEL)?,
        heads: of_heads,
        layers: of_layers,
        selected: selected(pairs, &keys, chooses, resampling)?,
    })
}

/// What a part changes in each pair, in the direction of the pair's own change; and the same from an unrelated image.
fn towards(pairs: &[&PairRecord], part: usize) -> [Vec<f64>; 2] {
    [0, 1].map(|source| pairs.iter().map(|pair| pair.parts[part][source] * sign(pair.change)).collect())
}

/// 1, −1, or 0 of 0.
fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

fn carried(pairs: &[&PairRecord], part: usize, resampling: &Resampling) -> Result<Carried, StudyError> {
    let changes: Vec<f64> = pairs.iter().map(|pair| pair.change.abs()).collect();
    let [own, unrelated] = towards(pairs, part);
    let ratio = |sample: &mut dyn Iterator<Item = usize>, effects: &[f64]| {
        let (effect, change) = sample
            .fold((0.0, 0.0), |(effect, change), pair| (effect + effects[pair], change + changes[pair]));
        effect / change
    };
    let share = |sample: &[usize]| ratio(&mut sample.iter().copied(), &own);
    let share = Measured::of(resampling.bootstrap("the share that a part carries", pairs.len(), share))?;
    let null = ratio(&mut (0..pairs.len()), &unrelated);
    // In units of the mean change, so that the difference is one of the two shares.
    let mean = changes.iter().sum::<f64>() / changes.len() as f64;
    let scaled = |effects: &[f64]| -> Vec<f64> {
        effects.iter().map(|effect| if mean > 0.0 { effect / mean } else { 0.0 }).collect()
    };
    Ok(Carried {
        unrelated: match null.is_finite() {
            true => Measured::Known(null),
            false => Measured::undefined("no pair of images changes the logit difference"),
        },
        share: match share {
            Measured::Undefined { .. } => {
                Measured::undefined("no pair of images changes the logit difference")
            }
            known => known,
        },
        over_unrelated: sign_flip_test(&scaled(&own), &scaled(&unrelated), resampling)?,
    })
}

/// The head that is farthest above an unrelated image in the pairs that choose, measured on the others; `None` where either are
/// fewer than two.
fn selected(
    pairs: &[&PairRecord],
    keys: &[(usize, usize)],
    chooses: &[bool],
    resampling: &Resampling,
) -> Result<Option<SelectedCarrier>, StudyError> {
    let half = |wanted: bool| -> Vec<&PairRecord> {
        pairs.iter().zip(chooses).filter(|(_, chooses)| **chooses == wanted).map(|(pair, _)| *pair).collect()
    };
    let (choosing, measured) = (half(true), half(false));
    if choosing.len().min(measured.len()) < 2 {
        return Ok(None);
    }
    let excess = |part: usize| {
        let [own, unrelated] = towards(&choosing, part);
        own.iter().sum::<f64>() - unrelated.iter().sum::<f64>()
    };
    // The first among equals.
    let largest = (0..keys.len()).rev().max_by(|&a, &b| excess(a).total_cmp(&excess(b)));
    let found = largest.map(|part| {
        let (layer, head) = keys[part];
        let carried = carried(&measured, part, resampling)?;
        Ok(SelectedCarrier { layer, head, chosen_on: choosing.len(), carried })
    });
    found.transpose()
}

#[cfg(test)]
mod tests {
    use archaeo_random::{keyed_rng, standard_normal};

    use super::*;

    /// Two layers of two heads and a prefix. In pair `i` of every factor, the change is of either sign, head 2.1 brings about 0.4
    /// of it, head 1.2 as much as an unrelated image does, head 1.1 nothing, head 2.2 moves away by 0.1; tokens of layer 2 all.
    fn record(pair: usize) -> PatchingRecord {
        let noise = |stream: u64| 0.01 * standard_normal(&mut keyed_rng(5, "noise", pair as u64, stream));
        let change = (1.0 + (pair % 5) as f64) * if pair.is_multiple_of(2) { 1.0 } else { -1.0 };
        let of = |own: f64, unrelated: f64, stream: u64| {
            [own * change + noise(stream), unrelated * change + noise(stream + 10)]
        };
        let parts = vec![
            of(0.0, 0.0, 1),
            of(0.3, 0.3, 2),
            of(0.4, 0.1, 3),
            of(-0.1, 0.0, 4),
            of(0.2, 0.0, 5),
            [change, 0.0],
        ];
        let pairs =
            SceneFactor::ALL.map(|_| PairRecord { change, other_answer: pair < 10, parts: parts.clone() });
        PatchingRecord { heads: vec![2, 2], pairs: pairs.into() }
    }

    fn found(records: &[PatchingRecord]) -> Vec<FactorPatching> {
        let chooses: Vec<bool> = (0..records.len()).map(|pair| pair % 3 == 0).collect();
        let resampling = Resampling { resamples: 500, ..Resampling::new(2) };
        concluded(records, &[PatchedTokens::Prefix], &chooses, &resampling).unwrap()
    }

    #[test]
    fn known_records_give_known_shares_and_verdicts() {
        let records: Vec<PatchingRecord> = (0..40).map(record).collect();
        let found = found(&records);
        assert_eq!(found.len(), SceneFactor::ALL.len());
        let of = &found[0];
        assert!((of.change.value - 3.0).abs() < 1e-12 && of.other_answer.value == 0.25);
        let expected = [(0.0, 0.0), (0.3, 0.3), (0.4, 0.1), (-0.1, 0.0)];
        for (head, (share, unrelated)) in of.heads.iter().zip(expected) {
            let known = head.carried.share.known().unwrap();
            assert!((known.value - share).abs() < 0.003, "{known:?}");
            assert!(known.low <= known.value && known.high - known.low < 0.01, "{known:?}");
            assert!((head.carried.unrelated.known().unwrap() - unrelated).abs() < 0.003);
            let test = &head.carried.over_unrelated;
            assert!((test.difference.value - (share - unrelated)).abs() < 0.003, "{test:?}");
            assert_eq!(test.p_value < 0.05, (share - unrelated).abs() > 0.05, "{test:?}");
        }
        let last = &of.layers[1];
        assert_eq!((last.layer, last.tokens), (1, PatchedTokens::Prefix));
        // All of the change, exactly, with no spread.
        let all = last.carried.share.known().unwrap();
        assert_eq!((all.value, all.low, all.high), (1.0, 1.0, 1.0));
        let selected = of.selected.as_ref().unwrap();
        assert_eq!((selected.layer, selected.head, selected.chosen_on), (1, 0, 14));
        assert_eq!(selected.carried.share.known().unwrap().n, 26);
    }

    #[test]
    fn pairs_that_change_nothing_have_no_share_and_weigh_nothing() {
        let mut records: Vec<PatchingRecord> = (0..12).map(record).collect();
        let still = PairRecord { change: 0.0, other_answer: false, parts: vec![[0.5, -0.5]; 6] };
        let before = found(&records)[0].heads[2].carried.share.known().unwrap().value;
        records.push(PatchingRecord { heads: vec![2, 2], pairs: vec![still.clone(); 5] });
        let after = found(&records)[0].heads[2].carried.share.known().unwrap().value;
        assert!((before - after).abs() < 1e-12, "{before} and {after}");

        let records = vec![PatchingRecord { heads: vec![2, 2], pairs: vec![still; 5] }; 6];
        let found = found(&records);
        let carried = &found[0].heads[0].carried;
        assert!(carried.share.known().is_none() && carried.unrelated.known().is_none());
        assert_eq!((carried.over_unrelated.difference.value, carried.over_unrelated.p_value), (0.0, 1.0));
    }
}
