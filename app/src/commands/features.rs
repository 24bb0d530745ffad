//! `archaeo features`: what the features of models hold.

use anyhow::Result;
use archaeo_analysis::statistics::Estimate;
use archaeo_experiments::findings::{CkaMap, FeaturePair, FeaturesFindings, Learned, PairedScore};
use archaeo_lab::{FeaturesFound, FeaturesOptions, Purpose, Session};

use crate::cli::Features;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// One sentence for data or weights that cannot be used, or a folder that cannot be written.
pub fn run(arguments: &Features, session: &Session, printer: &Printer) -> Result<()> {
    let Features { weights, random, training, draws, points, compared, out, about } = arguments;
    let (first, more) = weights.split_first().expect("there is one at least");
    let options = FeaturesOptions {
        more: more.iter().map(|weights| about.source(weights)).collect(),
        random: *random,
        training: *training,
        draws: usize::from(*draws),
        points: *points,
        compared: usize::from(*compared),
    };
    let mut opened = session.open(about.asked(first), Purpose::Represent)?;
    printer.result(&session.features(&mut opened, &options, out.as_deref())?, lines)
}

fn lines(result: &FeaturesFound) -> String {
    let FeaturesFound { models, data, split, n, found, folder, .. } = result;
    let names: Vec<&str> = models.iter().map(|model| model.called.as_str()).collect();
    let mut lines = format!("features of {} on {n} images of {data}/{split}\n", names.join(" and "));
    if let Some(roles) = &found.roles {
        lines += &format!(
            "- {}: {} images to fit probes to, {} to choose their penalty by, {} scored\n",
            roles.how, roles.training.n, roles.validation.n, roles.test.n
        );
        lines += &scores(found);
        lines += &few_shot(found);
        lines += &found.pairs.iter().map(paired).collect::<String>();
    }
    lines += &found.cka.iter().filter_map(similar).collect::<String>();
    lines += &trust(found);
    if let Some(folder) = folder {
        lines += &format!("\npictures are in {}; clouds.png shows all models\n", folder.display());
    }
    lines
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn interval(Estimate { value, low, high, .. }: &Estimate) -> String {
    format!("{} ({:.1} to {:.1})", percent(*value), 100.0 * low, 100.0 * high)
}

fn learned(found: &FeaturesFindings) -> impl Iterator<Item = (&'static str, &Learned)> {
    found.models.iter().filter_map(|(name, model)| Some((name.as_str(), model.learned.as_ref()?)))
}

/// Accuracies with their intervals, a row per score and a column per model.
fn scores(found: &FeaturesFindings) -> String {
    let models: Vec<(&str, &Learned)> = learned(found).collect();
    let Some((_, first)) = models.first() else { return String::new() };
    let width = models.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(24);
    let row = |title: &str, cell: &dyn Fn(&Learned) -> String| {
        let cells: String = models.iter().map(|(_, found)| format!("  {:<width$}", cell(found))).collect();
        format!("{title:<22}{}\n", cells.trim_end())
    };
    let heads: String = models.iter().map(|(name, _)| format!("  {name:<width$}")).collect();
    let mut lines = format!("\n{:<22}{}\n", "", heads.trim_end());
    for (place, score) in first.neighbours.iter().enumerate() {
        let title = if score.k == 1 { "nearest image".into() } else { format!("{} neighbours", score.k) };
        lines += &row(&title, &|found| interval(&found.neighbours[place].score));
    }
    lines += &row("linear probe", &|found| interval(&found.probe.accuracy));
    for (place, score) in first.retrieval.iter().enumerate() {
        lines += &row(&format!("precision at {}", score.k), &|found| interval(&found.retrieval[place].score));
    }
    lines += &row("most common class", &|found| percent(found.usual));
    lines + "95 % intervals over images\n"
}

fn few_shot(found: &FeaturesFindings) -> String {
    let mut lines = String::new();
    for (name, found) in learned(found).filter(|(_, found)| !found.few_shot.is_empty()) {
        let draws = found.few_shot[0].accuracy.n;
        lines += &format!(
            "\na linear probe of a few images per class of {name}, mean and standard deviation over {draws} draws\n"
        );
        for few in &found.few_shot {
            let deviation =
                few.deviation.map_or_else(String::new, |deviation| format!(" ± {:.1}", 100.0 * deviation));
            lines += &format!("{:>4}  {}{deviation}\n", few.shots, percent(few.accuracy.value));
        }
    }
    lines
}

fn paired(pair: &FeaturePair) -> String {
    let [first, second] = pair.models;
    let score = |what: &str, PairedScore { difference, adjusted_p, .. }: &PairedScore| {
        format!(
            "- {what}: {first} minus {second}: {:.1} points ({:.1} to {:.1}), McNemar's p {adjusted_p:.3}, adjusted\n",
            100.0 * difference.value,
            100.0 * difference.low,
            100.0 * difference.high
        )
    };
    format!("\n{}{}", score("linear probe", &pair.probe), score("neighbours", &pair.neighbours))
}

fn similar(map: &CkaMap) -> Option<String> {
    let [first, second] = map.models;
    let null = map.null.as_ref()?;
    let Estimate { value, low, high, .. } = map.features.known()?;
    Some(format!(
        "\n- unbiased linear CKA of {first} and {second} on {} images: {value:.3} ({low:.3} to {high:.3}); at most {:.3} in {} random orders \
         of the images\n",
        map.n, null.largest, null.orders
    ))
}

fn trust(found: &FeaturesFindings) -> String {
    let pictures = found.models.iter().filter_map(|(name, model)| Some((name, model.picture.as_ref()?)));
    let lines: String = pictures
        .map(|(name, picture)| {
            let [tsne, pca] = [&picture.tsne, &picture.pca]
                .map(|cloud| format!("{:.3}, {:.3}", cloud.trust.trustworthiness, cloud.trust.continuity));
            format!("{name}: t-SNE {tsne}; principal components {pca}\n")
        })
        .collect();
    match lines.is_empty() {
        true => lines,
        false => format!("\ntrustworthiness and continuity of the pictures, 12 neighbours\n{lines}"),
    }
}
