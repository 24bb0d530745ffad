//! From trained models to what distinguishes their regimes.

use archaeo_analysis::statistics::{
    Resampling, Result, accuracy_difference, benjamini_hochberg, mcnemar, mean_bootstrap,
};

use super::{Convergence, Lead, Regime, RegimeKind, RegimePair, RegimeRun};

/// Share of its own final validation accuracy at which a training counts as converged.
pub const NEAR_THE_END: f64 = 0.9;

/// The first epoch whose validation accuracy reaches `target`; `None` if none does.
pub fn convergence(run: &RegimeRun, target: f64) -> Option<Convergence> {
    let place = run.history.iter().position(|epoch| epoch.validation_accuracy >= target)?;
    let epoch = &run.history[place];
    let seconds = run.history[..=place].iter().map(|epoch| epoch.seconds).sum();
    Some(Convergence { target, epochs: epoch.epoch, images: run.images_seen(epoch), seconds })
}

impl RegimeRun {
    /// When its validation accuracy first reached 90 % of its last value.
    pub fn converged(&self) -> Option<Convergence> {
        convergence(self, NEAR_THE_END * self.history.last()?.validation_accuracy)
    }
}

/// Every two regimes on every share that both were trained on.
///
/// # Errors
/// Runs that were scored on different numbers of images, or on none.
pub fn compared(regimes: &[Regime], resampling: &Resampling) -> Result<Vec<RegimePair>> {
    let mut pairs = Vec::new();
    for (place, first) in regimes.iter().enumerate() {
        for second in &regimes[place + 1..] {
            for run in &first.runs {
                let Some(other) = second.on(run.share) else { continue };
                pairs.push(RegimePair {
                    regimes: [first.name.clone(), second.name.clone()],
                    share: run.share,
                    difference: accuracy_difference(&run.correct, &other.correct, resampling)?,
                    p_value: mcnemar(&run.correct, &other.correct)?.p_value,
                    adjusted: 1.0,
                });
            }
        }
    }
    let p_values: Vec<f64> = pairs.iter().map(|pair| pair.p_value).collect();
    for (pair, adjusted) in pairs.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        pair.adjusted = adjusted;
    }
    Ok(pairs)
}

/// How much larger the lead of each regime over each one from scratch is on the smallest share than on the largest.
///
/// # Errors
/// As [`compared`].
pub fn leads(regimes: &[Regime], resampling: &Resampling) -> Result<Vec<Lead>> {
    let mut leads = Vec::new();
    let (scratch, others): (Vec<&Regime>, Vec<&Regime>) =
        regimes.iter().partition(|regime| regime.kind == RegimeKind::Scratch);
    for (first, second) in others.iter().flat_map(|first| scratch.iter().map(move |second| (first, second))) {
        let both: Vec<[&RegimeRun; 2]> =
            (first.runs.iter()).filter_map(|run| Some([run, second.on(run.share)?])).collect();
        let [few, .., all] = both.as_slice() else { continue };
        let right = |run: &RegimeRun, image: usize| f64::from(u8::from(run.correct[image]));
        let lead = |[first, second]: &[&RegimeRun; 2], image| right(first, image) - right(second, image);
        let changes: Vec<f64> =
            (0..few[0].correct.len()).map(|image| lead(few, image) - lead(all, image)).collect();
        leads.push(Lead {
            regimes: [first.name.clone(), second.name.clone()],
            shares: [few[0].share, all[0].share],
            change: mean_bootstrap(&changes, resampling)?,
        });
    }
    Ok(leads)
}

/// On one share: the regimes that are not shown to be worse than the most accurate one, the quickest first.
pub fn advisable<'a>(regimes: &'a [Regime], pairs: &[RegimePair], share: f64, level: f64) -> Vec<&'a Regime> {
    let mut scored: Vec<(&Regime, &RegimeRun)> =
        regimes.iter().filter_map(|regime| Some((regime, regime.on(share)?))).collect();
    let Some(&(best, _)) = scored.iter().max_by(|a, b| a.1.accuracy.value.total_cmp(&b.1.accuracy.value))
    else {
        return Vec::new();
    };
    let as_good = |regime: &Regime| {
        let of_both =
            |pair: &&RegimePair| pair.regimes.contains(&best.name) && pair.regimes.contains(&regime.name);
        let between = pairs.iter().find(|pair| pair.share == share && of_both(pair));
        regime.name == best.name || between.is_some_and(|pair| pair.adjusted > level)
    };
    scored.retain(|(regime, _)| as_good(regime));
    scored.sort_by(|a, b| a.1.seconds().total_cmp(&b.1.seconds()));
    scored.into_iter().map(|(regime, _)| regime).collect()
}
