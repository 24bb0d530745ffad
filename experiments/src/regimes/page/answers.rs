//! The written answers: which regime when, and why transfer wins.

use archaeo_report::evidence::{SIGNIFICANCE, Side};
use archaeo_report::numbers::{Unit, count, counted, duration, percent};

use super::super::conclusion::{advisable, convergence};
use super::super::{Regime, RegimeKind, RegimeRun, RegimesCompared};
use super::claims::{claim, of_pair};
use crate::report::Claim;
use crate::report::names::listed;

/// Which regime to choose with most images, and with fewest where that is another.
pub(super) fn which(regimes: &RegimesCompared) -> Vec<Claim> {
    let shares = regimes.shares();
    let (Some(&least), Some(&most)) = (shares.first(), shares.last()) else { return Vec::new() };
    let advised = |share| advisable(&regimes.regimes, &regimes.pairs, share, SIGNIFICANCE);
    let names = |share| advised(share).into_iter().map(|regime| regime.name.as_str()).collect::<Vec<&str>>();
    let mut claims: Vec<Claim> =
        which_on(regimes, most, &advised(most), shares.len() > 1).into_iter().collect();
    if names(least) != names(most) {
        claims.extend(which_on(regimes, least, &advised(least), true));
    }
    claims
}

/// How long a training took. Epochs on a frozen backbone begin when its features are there.
fn took(regime: &Regime, run: &RegimeRun) -> String {
    let seconds = duration(run.seconds());
    match regime.kind {
        RegimeKind::Frozen => format!("{seconds} once its features are computed"),
        _ => seconds,
    }
}

fn which_on(regimes: &RegimesCompared, share: f64, advised: &[&Regime], several: bool) -> Option<Claim> {
    let run = |regime: &Regime| regime.on(share).cloned();
    let all: Vec<(&Regime, RegimeRun)> =
        regimes.regimes.iter().filter_map(|regime| Some((regime, run(regime)?))).collect();
    if all.len() < 2 {
        return None;
    }
    let first = advised.first()?;
    let names: Vec<String> = advised.iter().map(|regime| regime.name.clone()).collect();
    let chosen = match advised.len() {
        1 => format!("take {}: every other regime is shown to be less accurate", first.name),
        _ => format!(
            "take {}, the quickest of {}, whose accuracies cannot be told apart",
            first.name,
            listed(&names)
        ),
    };
    let quickest = all.iter().min_by(|a, b| a.1.seconds().total_cmp(&b.1.seconds()))?;
    let quick = match quickest.1.seconds() < run(first)?.seconds() {
        false => String::new(),
        true => format!(
            "; where time counts, {} takes {} instead of {}",
            quickest.0.name,
            took(quickest.0, &quickest.1),
            took(first, &run(first)?)
        ),
    };
    let on = match several {
        true => format!("with {} of the training images, ", percent(share)),
        false => String::new(),
    };
    let evidence: Vec<String> = (all.iter())
        .map(|(regime, run)| {
            format!("{} {} in {}", regime.name, Unit::Percent.sentence(&run.accuracy), took(regime, run))
        })
        .collect();
    let tested = all.first().map_or(0, |(_, run)| run.accuracy.n);
    let statement = format!("Which regime when: {on}{chosen}{quick}.");
    let evidence = format!("On {}: {}.", counted(tested, "test image"), evidence.join("; "));
    Some(claim("advice", "Which regime when", statement, evidence))
}

/// Whether transfer wins over training from random weights, and what of it does.
pub(super) fn why(regimes: &RegimesCompared) -> Option<Claim> {
    let best = |of: &dyn Fn(&RegimeKind) -> bool| {
        let accuracy =
            |regime: &&Regime| regime.largest().map_or(f64::NEG_INFINITY, |run| run.accuracy.value);
        let some = regimes.regimes.iter().filter(|regime| of(&regime.kind));
        some.max_by(|a, b| accuracy(a).total_cmp(&accuracy(b)))
    };
    let scratch = best(&|kind| *kind == RegimeKind::Scratch)?;
    let pretrained = best(&|kind| kind.is_pretrained())?;
    let (pair, side) = regimes.pair(pretrained, scratch)?;
    let mut evidence = vec![of_pair(pair)];
    let statement = match side {
        Side::Undecided => format!(
            "Whether transfer wins here cannot be told: {} and {} are not shown to differ.",
            pretrained.name, scratch.name
        ),
        Side::Below => {
            format!("Transfer does not win here: {} is less accurate than {}.", pretrained.name, scratch.name)
        }
        Side::Above => {
            let frozen = best(&|kind| *kind == RegimeKind::Frozen);
            let of_frozen = frozen.and_then(|frozen| Some((frozen, regimes.pair(frozen, scratch)?)));
            if let Some((frozen, (pair, _))) = of_frozen
                && frozen.name != pretrained.name
            {
                evidence.push(of_pair(pair));
            }
            match of_frozen {
                Some((frozen, (_, Side::Above))) => format!(
                    "Transfer wins here by the features of its weights: {}, a head on them as they are, is more accurate than {}.",
                    frozen.name, scratch.name
                ),
                Some((frozen, (_, Side::Below))) => format!(
                    "Transfer wins here by where it starts, not by the features as they are: {} is less accurate than {}, and {} more.",
                    frozen.name, scratch.name, pretrained.name
                ),
                _ => match sooner(pretrained, scratch) {
                    Some(sentence) => {
                        evidence.push(sentence);
                        format!(
                            "Transfer wins here, and starts ahead; whether the features as they are would do cannot be told without a \
                             frozen regime that differs from {}.",
                            scratch.name
                        )
                    }
                    None => "Transfer wins here; why cannot be told from these regimes.".to_owned(),
                },
            }
        }
    };
    Some(claim("advice", "Transfer", statement, evidence.join("; ") + "."))
}

/// How much sooner a regime reaches what another ends with; `None` if it does not.
fn sooner(first: &Regime, other: &Regime) -> Option<String> {
    let (run, own) = (first.largest()?, other.largest()?);
    let target = own.history.last()?.validation_accuracy;
    let [found, own] = [convergence(run, target)?, convergence(own, target)?];
    let images = |images: f64| count(images.round() as usize);
    (found.images < own.images).then(|| {
        format!(
            "{} of validation images after {} images seen instead of {}",
            percent(target),
            images(found.images),
            images(own.images)
        )
    })
}
