//! Many models under attack, in one sentence for each attack.

use archaeo_report::Claim;
use archaeo_report::numbers::counted;

use super::claims::{claim, compared, family, halving, leads, zero_gradients};
use super::findings::AttackFindings;
use crate::report::Names;
use crate::report::names::listed;

/// Many models: which keep more than most others, and which less.
pub(super) fn overall(findings: &AttackFindings, attack: &str, names: &Names) -> Option<Claim> {
    let models = names.models();
    let (mut wins, mut losses) = (vec![0; models.len()], vec![0; models.len()]);
    let (mut tested, mut undecided, mut depends) = (0, 0, 0);
    for pair in names.pairs() {
        let compared = compared(findings, attack, pair);
        let place = |model| models.iter().position(|known| *known == model).expect("a pair of these models");
        tested += usize::from(!compared.is_empty());
        let (better, worse) = match leads(&compared, |comparison| comparison.kept.as_ref()) {
            [0, 0] => {
                undecided += usize::from(!compared.is_empty());
                continue;
            }
            [_, 0] => (pair[0], pair[1]),
            [0, _] => (pair[1], pair[0]),
            _ => {
                depends += 1;
                continue;
            }
        };
        wins[place(better)] += 1;
        losses[place(worse)] += 1;
    }
    if tested == 0 {
        return None;
    }
    let most = |of: &[usize]| -> (Vec<String>, usize) {
        let most = of.iter().copied().max().unwrap_or(0);
        let which = models.iter().zip(of).filter(|(_, n)| **n == most).map(|(model, _)| names.the(*model));
        (which.collect(), most)
    };
    let others = models.len() - 1;
    let ((best, won), (worst, lost)) = (most(&wins), most(&losses));
    let keep = |which: &[String]| match which.len() {
        1 => format!("{} keeps", which[0]),
        _ => format!("{} each keep", listed(which)),
    };
    let statement = match won {
        0 => format!(
            "Under {attack}, no two of the {} models are shown to differ in how much they keep of what both classify correctly \
             without an attack.",
            models.len()
        ),
        _ => format!(
            "Under {attack}, {} more of what both classify correctly without an attack than {won} of the {others} other models; \
             {} less than {lost} of them.",
            keep(&best),
            keep(&worst)
        ),
    };
    let halving: Vec<String> = models.iter().map(|model| halving(findings, attack, *model, names)).collect();
    let mut evidence = format!(
        "Robust accuracy, correct without the attack and under it, on {}: {}. {} compared by exact McNemar tests, adjusted over \
         {}.",
        counted(findings.n, "image"),
        halving.join("; "),
        counted(tested, "pair"),
        family(names)
    );
    if undecided > 0 {
        evidence += &format!(" No size of attack tells the models of {} apart.", counted(undecided, "pair"));
    }
    if depends > 0 {
        evidence += &format!(" For {} it depends on ε which model keeps more.", counted(depends, "pair"));
    }
    if let Some(warning) = zero_gradients(findings, attack, &models, names) {
        evidence += &format!(" {warning}");
    }
    Some(claim(statement, evidence))
}
