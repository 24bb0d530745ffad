//! From autopsies of images to an autopsy of a model.

use archaeo_analysis::attacks::autopsy::{Autopsy, Restored};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Measured, Resampling, SignFlipTest, StatisticsError, benjamini_hochberg, mean_t,
    sign_flip_test,
};

use super::FEWEST;
use super::findings::{Dissection, Given, HeadAutopsy, LayerAutopsy, OnPath, SelectedPart};

/// What the autopsies say together; `chooses` says which images choose a part. `None` of too few.
///
/// # Errors
/// Numbers that are not finite.
pub(super) fn concluded(
    autopsies: &[&Autopsy],
    chooses: &[bool],
    resampling: &Resampling,
) -> Result<Option<Dissection>, StatisticsError> {
    let Some(first) = autopsies.first().filter(|_| autopsies.len() >= FEWEST) else { return Ok(None) };
    let mean = |of: &dyn Fn(&Autopsy) -> f64| {
        mean_t(&autopsies.iter().map(|autopsy| of(autopsy)).collect::<Vec<_>>(), DEFAULT_LEVEL)
    };
    let keys: Vec<(usize, usize)> = first
        .heads
        .iter()
        .enumerate()
        .flat_map(|(layer, &heads)| (0..heads).map(move |head| (layer, head)))
        .collect();
    let mut heads = Vec::with_capacity(keys.len());
    for (part, &(layer, head)) in keys.iter().enumerate() {
        heads.push(HeadAutopsy {
            layer,
            head,
            divergence: mean(&|of| of.drift.heads[layer][head].divergence)?,
            entropy: mean(&|of| of.drift.heads[layer][head].entropy)?,
            distance: mean(&|of| of.drift.heads[layer][head].distance)?,
            given: given(autopsies, part, resampling)?,
        });
    }
    let mut layers = Vec::new();
    for (layer, part) in (keys.len()..first.parts.len()).enumerate() {
        let known = first.drift.layers.get(layer);
        let lens = known.and_then(|of| of.lens).map(|_| -> Result<_, StatisticsError> {
            let at = |place: usize| {
                mean(&|of| of.drift.layers[layer].lens.expect("every image has the lens that one has")[place])
            };
            Ok([at(0)?, at(1)?])
        });
        layers.push(LayerAutopsy {
            layer,
            similarity: known.map(|_| mean(&|of| of.drift.layers[layer].similarity)).transpose()?,
            lens: lens.transpose()?,
            given: given(autopsies, part, resampling)?,
        });
    }
    let mut tests: Vec<&mut SignFlipTest> = heads
        .iter_mut()
        .map(|head| &mut head.given.over_unrelated)
        .chain(layers.iter_mut().map(|layer| &mut layer.given.over_unrelated))
        .collect();
    let adjusted = benjamini_hochberg(&tests.iter().map(|test| test.p_value).collect::<Vec<_>>())?;
    tests.iter_mut().zip(adjusted).for_each(|(test, p_value)| test.p_value = p_value);
    let path = (0..first.path.len()).map(|point| {
        Ok(OnPath {
            share: first.path[point].share,
            margin: mean(&|of| of.path[point].margin)?,
            drift: (0..first.path[point].drift.len())
                .map(|layer| {
                    autopsies.iter().map(|of| of.path[point].drift[layer]).sum::<f64>()
                        / autopsies.len() as f64
                })
                .collect(),
        })
    });
    Ok(Some(Dissection {
        margins: [mean(&|of| of.margins[0])?, mean(&|of| of.margins[1])?],
        path: path.collect::<Result<_, StatisticsError>>()?,
        heads,
        layers,
        selected: selected(autopsies, &keys, chooses, resampling)?,
        example: None,
    }))
}

/// What the attack takes from the margin of an image.
fn loss(of: &Autopsy) -> f64 {
    of.margins[0] - of.margins[1]
}

fn given(autopsies: &[&Autopsy], part: usize, resampling: &Resampling) -> Result<Given, StatisticsError> {
    let losses: Vec<f64> = autopsies.iter().map(|of| loss(of)).collect();
    let gains = |of: &dyn Fn(Restored) -> f64| -> Vec<f64> {
        autopsies.iter().map(|autopsy| of(autopsy.parts[part])).collect()
    };
    let (clean, unrelated) = (gains(&|of| of.clean), gains(&|of| of.unrelated));
    let ratio = |gains: &[f64], images: &[usize]| {
        let (gain, loss) = images
            .iter()
            .fold((0.0, 0.0), |(gain, loss), &image| (gain + gains[image], loss + losses[image]));
        gain / loss
    };
    let all: Vec<usize> = (0..losses.len()).collect();
    let nothing = "the attack takes nothing from the margin";
    let null = ratio(&unrelated, &all);
    let share = resampling.bootstrap("what a part restores", all.len(), |images| ratio(&clean, images));
    // In units of the mean loss, so that the difference is one of the two shares.
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    let scaled = |gains: &[f64]| -> Vec<f64> {
        gains.iter().map(|gain| if mean > 0.0 { gain / mean } else { 0.0 }).collect()
    };
    Ok(Given {
        share: match Measured::of(share)? {
            Measured::Undefined { .. } => Measured::undefined(nothing),
            known => known,
        },
        unrelated: if null.is_finite() { Measured::Known(null) } else { Measured::undefined(nothing) },
        over_unrelated: sign_flip_test(&scaled(&clean), &scaled(&unrelated), resampling)?,
    })
}

/// The head, or the block where there are none, that restores most over an unrelated image on the images that choose, measured on the
/// others.
fn selected(
    autopsies: &[&Autopsy],
    keys: &[(usize, usize)],
    chooses: &[bool],
    resampling: &Resampling,
) -> Result<Option<SelectedPart>, StatisticsError> {
    let half = |wanted: bool| -> Vec<&Autopsy> {
        let halves = autopsies.iter().zip(chooses);
        halves.filter(|(_, chooses)| **chooses == wanted).map(|(of, _)| *of).collect()
    };
    let (choosing, measured) = (half(true), half(false));
    if choosing.len().min(measured.len()) < 2 {
        return Ok(None);
    }
    let parts = if keys.is_empty() { choosing[0].parts.len() } else { keys.len() };
    let excess = |part: usize| -> f64 {
        choosing.iter().map(|of| of.parts[part].clean - of.parts[part].unrelated).sum()
    };
    // The first among equals.
    let largest = (0..parts).rev().max_by(|&a, &b| excess(a).total_cmp(&excess(b)));
    let found = largest.map(|part| {
        let (layer, head) = match keys.get(part) {
            Some(&(layer, head)) => (layer, Some(head + 1)),
            None => (part, None),
        };
        let given = given(&measured, part, resampling)?;
        Ok(SelectedPart { layer, head, chosen_on: choosing.len(), given })
    });
    found.transpose()
}
