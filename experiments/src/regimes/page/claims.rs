//! What the numbers allow to be said about regimes.

use archaeo_report::evidence::{Side, side, tested};
use archaeo_report::numbers::{Unit, count, duration, p_value, percent};

use super::super::conclusion::convergence;
use super::super::{AttentionShift, Lead, Regime, RegimeKind, RegimePair, RegimesCompared};
use super::answers;
use crate::report::Claim;

pub(crate) fn claims(regimes: &RegimesCompared) -> Vec<Claim> {
    let mut claims: Vec<Claim> = most_accurate(regimes).into_iter().collect();
    claims.extend(answers::which(regimes));
    claims.extend(answers::why(regimes));
    claims.extend(regimes.leads.iter().map(lead));
    claims.extend(starts(regimes));
    claims.extend(features(regimes));
    claims.extend(regimes.attention.iter().filter_map(shift));
    claims
}

pub(super) fn claim(
    section: &'static str,
    topic: &'static str,
    statement: String,
    evidence: String,
) -> Claim {
    Claim { section, topic, statement, evidence }
}

impl RegimesCompared {
    /// The pair on the largest share that both were trained on, first less second.
    pub(super) fn pair(&self, first: &Regime, second: &Regime) -> Option<(&RegimePair, Side)> {
        let of_both = |pair: &&RegimePair| {
            pair.regimes == [first.name.clone(), second.name.clone()]
                || pair.regimes == [second.name.clone(), first.name.clone()]
        };
        let pair = self.pairs.iter().filter(of_both).max_by(|a, b| a.share.total_cmp(&b.share))?;
        let side = tested(&pair.difference, pair.adjusted);
        let turned = match side {
            Side::Above => Side::Below,
            Side::Below => Side::Above,
            Side::Undecided => Side::Undecided,
        };
        Some((pair, if pair.regimes[0] == first.name { side } else { turned }))
    }
}

pub(super) fn of_pair(pair: &RegimePair) -> String {
    format!(
        "{} less {}: {} with {} of the training images, adjusted {}",
        pair.regimes[0],
        pair.regimes[1],
        Unit::Points.sentence(&pair.difference),
        percent(pair.share),
        p_value(pair.adjusted)
    )
}

/// The most accurate regime with most images, and which of the others are shown to be worse.
fn most_accurate(regimes: &RegimesCompared) -> Option<Claim> {
    let accuracy = |regime: &&Regime| regime.largest().map_or(f64::NEG_INFINITY, |run| run.accuracy.value);
    let best = regimes.regimes.iter().max_by(|a, b| accuracy(a).total_cmp(&accuracy(b)))?;
    let run = best.largest()?;
    let others: Vec<&Regime> = regimes.regimes.iter().filter(|regime| regime.name != best.name).collect();
    let compared: Vec<(&RegimePair, Side)> =
        others.iter().filter_map(|other| regimes.pair(best, other)).collect();
    let above = compared.iter().filter(|(_, side)| *side == Side::Above).count();
    let statement = match (above, others.len()) {
        (_, 0) => {
            format!("{} classifies {} of the test images correctly.", best.name, percent(run.accuracy.value))
        }
        (0, _) => format!("{} is the most accurate, but no other regime is shown to be worse.", best.name),
        (above, all) if above == all => format!("{} is more accurate than every other regime.", best.name),
        (above, all) => {
            format!("{} is the most accurate, and {above} of {all} others are shown to be worse.", best.name)
        }
    };
    let mut evidence = vec![format!("{} reaches {}", best.name, Unit::Percent.sentence(&run.accuracy))];
    evidence.extend(compared.iter().map(|(pair, _)| of_pair(pair)));
    Some(claim("advice", "Accuracy", statement, evidence.join("; ") + "."))
}

/// Whether a lead over training from scratch is larger with fewer images: what pretraining replaces is data.
fn lead(Lead { regimes: [first, second], shares: [few, all], change }: &Lead) -> Claim {
    let statement = match side(change, 0.0) {
        Side::Above => format!(
            "{first} gains more over {second} with {} of the images than with {}.",
            percent(*few),
            percent(*all)
        ),
        Side::Below => format!(
            "{first} gains more over {second} with {} of the images than with {}.",
            percent(*all),
            percent(*few)
        ),
        Side::Undecided => {
            format!("Whether {first} gains more over {second} with few images than with many cannot be told.")
        }
    };
    let evidence = format!(
        "The lead in accuracy with {} of the images less that with {}: {}. The null: both leads are the same.",
        percent(*few),
        percent(*all),
        Unit::Points.sentence(change)
    );
    claim("efficiency", "Few images", statement, evidence)
}

/// How soon others reach what training from scratch ends with.
fn starts(regimes: &RegimesCompared) -> Vec<Claim> {
    let mut claims = Vec::new();
    for scratch in regimes.of_kind(RegimeKind::Scratch) {
        let Some(last) = scratch.largest().and_then(|run| run.history.last()) else { continue };
        let target = last.validation_accuracy;
        let own = scratch.largest().and_then(|run| convergence(run, target));
        for other in regimes.regimes.iter().filter(|regime| regime.kind != RegimeKind::Scratch) {
            let Some(run) = other.largest() else { continue };
            let images = |images: f64| count(images.round() as usize);
            let (statement, evidence) = match (convergence(run, target), own) {
                (Some(found), Some(own)) => (
                    format!(
                        "{} reaches the final validation accuracy of {} after {} images, {} after {}.",
                        other.name,
                        scratch.name,
                        images(found.images),
                        scratch.name,
                        images(own.images)
                    ),
                    format!(
                        "{} of validation images; that took {} instead of {}. Validation accuracy after the first epoch: {} and {}.",
                        percent(target),
                        duration(found.seconds),
                        duration(own.seconds),
                        percent(run.history[0].validation_accuracy),
                        percent(scratch.largest().map_or(0.0, |run| run.history[0].validation_accuracy))
                    ),
                ),
                _ => (
                    format!(
                        "{} never reaches the final validation accuracy of {}.",
                        other.name, scratch.name
                    ),
                    format!("{} of validation images.", percent(target)),
                ),
            };
            claims.push(claim("regimes", "Speed", statement, evidence));
        }
    }
    claims
}

/// How much of what fine-tuning reaches is there in the frozen features already.
fn features(regimes: &RegimesCompared) -> Vec<Claim> {
    let tuned = |regime: &&Regime| matches!(regime.kind, RegimeKind::FineTuned | RegimeKind::Partial);
    let mut claims = Vec::new();
    for frozen in regimes.of_kind(RegimeKind::Frozen) {
        for full in regimes.regimes.iter().filter(tuned) {
            let Some((pair, side)) = regimes.pair(full, frozen) else { continue };
            let statement = match side {
                Side::Above => format!(
                    "{} is more accurate than {}: the pretrained features alone are not enough.",
                    full.name, frozen.name
                ),
                Side::Below => format!(
                    "{} is more accurate than {}: training the features made them worse.",
                    frozen.name, full.name
                ),
                Side::Undecided => {
                    format!(
                        "No difference between {} and {} can be shown: the pretrained features are enough.",
                        full.name, frozen.name
                    )
                }
            };
            claims.push(claim("advice", "Features", statement, of_pair(pair) + "."));
        }
    }
    claims
}

/// Which layer's attention training changed most.
fn shift(AttentionShift { regime, n, layers }: &AttentionShift) -> Option<Claim> {
    let most = layers.iter().max_by(|a, b| a.divergence.total_cmp(&b.divergence))?;
    let statement = format!("Training changed the attention of {regime} most in layer {}.", most.layer);
    let yardstick = most.between_images.map_or_else(String::new, |between| {
        format!(", where maps of two different images before it differ by {}", Unit::Nats.value(between))
    });
    let evidence = format!(
        "Mean Jensen-Shannon divergence between its heads' maps before and after, over {n} images: {}{yardstick}; in the layer that changed \
         least {}.",
        Unit::Nats.value(most.divergence),
        Unit::Nats.value(layers.iter().map(|layer| layer.divergence).fold(f64::INFINITY, f64::min))
    );
    Some(claim("attention", "Attention", statement, evidence))
}
