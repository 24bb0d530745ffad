//! Which explanations are better than a heatmap that knows nothing, and whether the metrics agree.

use archaeo_analysis::faithfulness::{Gain, metric};
use archaeo_analysis::statistics::Better;
use archaeo_report::Claim;
use archaeo_report::evidence::SIGNIFICANCE;
use archaeo_report::numbers::{Unit, counted, p_value};

use super::FaithfulnessStudy;
use super::findings::{FaithfulnessFindings, MethodFaithfulness, MetricScore, ModelFaithfulness, headline};
use crate::advice::{Advice, Choice};
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::study::Study;
use crate::subjects::ModelName;

pub(super) fn claims(findings: &FaithfulnessFindings, names: &Names) -> Vec<Claim> {
    let Some(headline) = headline(findings) else { return Vec::new() };
    let each = findings.models.iter();
    let mut claims: Vec<Claim> =
        each.map(|(name, model)| believed(model, name, headline.id, names)).collect();
    claims.extend(metrics_agree(findings, names));
    claims
}

/// What to explain the answers of each model with: the explanation of the best mean rank among those that are better than a random heatmap
/// and than the centre.
pub(super) fn advice(findings: &FaithfulnessFindings, names: &Names) -> Vec<Advice> {
    let Some(headline) = headline(findings) else { return Vec::new() };
    let of_model = |(name, model): (ModelName, &ModelFaithfulness)| {
        let better = |gain: &Option<Gain>| gain.as_ref().is_some_and(|gain| gain.better == Better::Yes);
        let holds = |method: &&MethodFaithfulness| {
            method
                .scores
                .get(headline.id)
                .is_some_and(|score| better(&score.over_random) && better(&score.over_centre))
        };
        let best = explanations(model).find(holds);
        let evidence = match best {
            Some(method) => format!(
                "Of the explanations that are better than both baselines, the one of the best mean rank: {}.",
                findings.said_of(name, &method.title).unwrap_or_default()
            ),
            None => format!(
                "By {}, no explanation is shown to be better than a random heatmap and than the centre, on {}.",
                headline.title,
                counted(model.images, "image")
            ),
        };
        Advice {
            decides: format!("answers of {} are to be explained", names.the(name)),
            choice: Choice::Explanation(best.map(|method| method.title.clone())),
            evidence,
        }
    };
    findings.models.iter().map(of_model).collect()
}

fn explanations(model: &ModelFaithfulness) -> impl Iterator<Item = &MethodFaithfulness> {
    model.methods.iter().filter(|method| !method.baseline)
}

fn believed(model: &ModelFaithfulness, name: ModelName, headline: &str, names: &Names) -> Claim {
    let title = metric(headline).map_or(headline, |metric| metric.info().title);
    let all = explanations(model).count();
    let with = |of: fn(&MetricScore) -> Option<&Gain>, wanted: Better| -> Vec<String> {
        let is = |method: &&MethodFaithfulness| {
            method.scores.get(headline).and_then(of).is_some_and(|gain| gain.better == wanted)
        };
        explanations(model).filter(is).map(|method| method.title.clone()).collect()
    };
    let random: fn(&MetricScore) -> Option<&Gain> = |score| score.over_random.as_ref();
    let centre: fn(&MetricScore) -> Option<&Gain> = |score| score.over_centre.as_ref();
    let tested = explanations(model).any(|method| method.scores.get(headline).and_then(random).is_some());
    let statement = if tested {
        let count = |members: &[String]| match members {
            [] => "none".to_owned(),
            members if members.len() <= 3 => listed(members),
            members => format!("{} of {all}", members.len()),
        };
        let worse = match with(random, Better::No) {
            none if none.is_empty() => String::new(),
            some => format!(" Worse than random: {}.", count(&some)),
        };
        format!(
            "By {title}, explanations of {} that are better than a random heatmap: {}; better than a blob in the centre: {}.{worse}",
            names.the(name),
            count(&with(random, Better::Yes)),
            count(&with(centre, Better::Yes)),
        )
    } else {
        format!(
            "Whether explanations of {} are better than a random heatmap cannot be told from {}.",
            names.the(name),
            counted(model.images, "image")
        )
    };
    let value = |method: &MethodFaithfulness| {
        let score = method.scores.get(headline)?;
        let mean = score.mean.known()?;
        let gain = score.over_random.as_ref().map_or_else(String::new, |gain| {
            format!(" ({}, {})", Unit::Coefficient.sentence(&gain.difference), p_value(gain.p_value))
        });
        Some(format!("{} {}{gain}", method.title, Unit::Coefficient.value(mean.value)))
    };
    let best: Vec<String> = explanations(model).take(3).filter_map(value).collect();
    let baselines: Vec<String> =
        model.methods.iter().filter(|method| method.baseline).filter_map(value).collect();
    let evidence = format!(
        "{} over {}: {}; baselines: {}. In brackets, what is gained over random on the same images, with the p-value adjusted over \
         all models, explanations and metrics.",
        capitalised(title),
        counted(model.images, "image"),
        best.join("; "),
        baselines.join("; "),
    );
    Claim { section: FaithfulnessStudy::ID, topic: "Faithfulness", statement, evidence }
}

/// The pairs of metrics that agree beyond chance, and those that disagree.
fn metrics_agree(findings: &FaithfulnessFindings, names: &Names) -> Option<Claim> {
    let title = |id: &String| metric(id).map_or(id.clone(), |metric| metric.info().title.to_owned());
    let (mut same, mut opposite, mut known) = (0, 0, Vec::new());
    for (name, model) in findings.models.iter() {
        for pair in &model.agreement {
            let Some(found) = pair.correlation.known() else { continue };
            let rho = found.correlation.value;
            if found.p_value < SIGNIFICANCE {
                if rho > 0.0 { same += 1 } else { opposite += 1 }
            }
            let [first, second] = [0, 1].map(|place| title(&pair.metrics[place]));
            known.push((rho, format!("{first} and {second} for {}", names.the(name))));
        }
    }
    known.sort_by(|a, b| b.0.total_cmp(&a.0));
    let ((most, of_most), (least, of_least)) = (known.first()?, known.last()?);
    let depends = match 2 * same < known.len() {
        true => ": which explanation is best depends on what is asked of it",
        false => "",
    };
    let statement = format!(
        "Of {} of metrics, {same} put the explanations in the same order beyond chance, {opposite} in opposite orders{depends}.",
        counted(known.len(), "pair")
    );
    let evidence = format!(
        "Spearman correlation of the explanations' means, positive where both metrics call the same ones good; from {} ({of_most}) to {} \
         ({of_least}). Without agreement it is 0; p-values are adjusted over the pairs of a model.",
        Unit::Coefficient.value(*most),
        Unit::Coefficient.value(*least),
    );
    (known.len() > 1).then_some(Claim {
        section: FaithfulnessStudy::ID,
        topic: "Agreement of metrics",
        statement,
        evidence,
    })
}
