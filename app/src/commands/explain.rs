//! `archaeo explain`: what a model looks at, image by image.

use anyhow::Result;
use archaeo_lab::{
    Answer, ExplainOptions, Explained, ExplainedImage, Faithfulness, Flips, Localisation, MethodChoice, Over,
    Purpose, Session, Target,
};

use crate::cli::Explain;
use crate::printer::Printer;

/// Images that are listed; the rest is counted.
const LISTED: usize = 20;

/// Runs the command.
///
/// # Errors
/// A method, a class or a layer that the model does not have, images that cannot be read, or a folder that cannot be written.
pub fn run(arguments: &Explain, session: &Session, printer: &Printer) -> Result<()> {
    let Explain { images, methods, target, layer, rollout, scored, counterfactual, out, subject } = arguments;
    let options = ExplainOptions {
        methods: match methods.iter().any(|method| method == "all") {
            true => MethodChoice::All,
            false => MethodChoice::These(methods.clone()),
        },
        target: Target::parse(target),
        layer: *layer,
        rollout: rollout.asked()?,
        scored: *scored,
        counterfactual: *counterfactual,
    };
    let purpose = if options.target == Target::Label { Purpose::Score } else { Purpose::Look };
    let mut sources: Vec<Option<String>> = images.iter().cloned().map(Some).collect();
    if sources.is_empty() || subject.about.data.is_some() {
        sources.push(subject.about.data.clone());
    }
    let opened = session.open_sources(subject.asked(), &sources, purpose)?;
    printer.result(&session.explain_into(&opened, &options, out)?, lines)
}

fn lines(result: &Explained) -> String {
    let Explained { model, n, methods, images, faithfulness, localisation, folder, .. } = result;
    let images_in_words = if *n == 1 { "1 image".to_owned() } else { format!("{n} images") };
    let titles: Vec<&str> = methods.iter().map(|method| method.title).collect();
    let mut lines = format!("{model} on {images_in_words}: {}\n", titles.join(", "));
    for image in images.iter().take(LISTED) {
        lines += &of_image(image);
    }
    if let Some(more @ 1..) = n.checked_sub(LISTED) {
        lines += &format!("and {more} more\n");
    }
    lines += &flipped(result);
    lines += &believed(faithfulness);
    if let Some(localisation) = localisation {
        lines += &table(localisation);
    }
    if let Some(folder) = folder {
        lines += &format!(
            "pictures are in {}; methods.png of an image shows all of its heatmaps\n",
            folder.display()
        );
    }
    lines
}

fn of_image(image: &ExplainedImage) -> String {
    let answer = |answer: &Answer| format!("{} {:.1} %", answer.name, 100.0 * answer.probability);
    let mut line = image.image.clone();
    if let Some(label) = &image.label {
        line += &format!(" ({label})");
    }
    if let (Some(target), [first, others @ ..]) = (&image.target, &image.predictions[..]) {
        line += &format!("  {}", answer(first));
        let others: Vec<String> = others.iter().take(2).map(answer).collect();
        if !others.is_empty() {
            line += &format!(", then {}", others.join(", "));
        }
        if target.class != first.class {
            line += &format!("; explained: {}", answer(target));
        }
    }
    line + "\n"
}

/// How many patches each method covers until the answer changes, over all images.
fn flipped(result: &Explained) -> String {
    if result.counterfactuals.is_empty() {
        return String::new();
    }
    let mut lines = format!(
        "\npatches covered, the most relevant first, until another class is named; fewer is better\n{:<20} {:>7}  {:<16} better than random\n",
        "", "mean", "95 % interval"
    );
    for method in &result.methods {
        let Some(Flips { share, never, over_random }) = result.counterfactuals.get(method.id) else {
            continue;
        };
        let mean = format!("{:>5.1} %", 100.0 * share.value);
        let interval = match share.low.is_finite() {
            true => format!("{:.1} to {:.1} %", 100.0 * share.low, 100.0 * share.high),
            false => String::new(),
        };
        let better = over_random.as_ref().map_or_else(String::new, |gain| gain.better.to_string());
        let kept = match never {
            0 => String::new(),
            _ => format!("  ({never} of {} keep their class)", share.n),
        };
        lines += format!("{:<20} {mean}  {interval:<16} {better}{kept}", method.id).trim_end();
        lines.push('\n');
    }
    lines
}

/// A line for each method, with the metric that pictures show.
fn believed(faithfulness: &Faithfulness) -> String {
    let Faithfulness { n, not_measured, metrics, methods } = faithfulness;
    let (None, [first, ..]) = (not_measured, &metrics[..]) else { return String::new() };
    let titles = metrics.iter().map(|info| format!("{:>10}", info.title)).collect::<String>();
    let mut lines = format!(
        "\nfaithfulness on {n} images; {} decides what is better, of which {} is better\n{:<20}{titles}  {:<18} {:<18}\n",
        first.title,
        if first.higher_is_better { "more" } else { "less" },
        "",
        "better than random",
        "better than centre",
    );
    for (id, scores) in methods {
        let value =
            |id: &str| scores.get(id).map_or_else(String::new, |score| format!("{:.3}", score.mean.value));
        let values = metrics.iter().map(|info| format!("{:>10}", value(info.id))).collect::<String>();
        let verdict = |gain: Option<String>| gain.unwrap_or_default();
        let shown = scores.get(first.id);
        let random = verdict(shown.and_then(|score| Some(score.over_random.as_ref()?.better.to_string())));
        let centre = verdict(shown.and_then(|score| Some(score.over_centre.as_ref()?.better.to_string())));
        lines += format!("{id:<20}{values}  {random:<18} {centre}").trim_end();
        lines.push('\n');
    }
    lines
}

fn table(localisation: &Localisation) -> String {
    let Localisation { n, object_share, methods } = localisation;
    let verdict = |over: &Option<Over>| over.map_or_else(String::new, |over| over.better.to_string());
    let mut lines = format!(
        "\nagainst the true mask of {n} images, {:.1} % of which are object; AUROC decides what is better\n{:<20} {:>7} {:>7}  {:<18} {:<18}\n",
        100.0 * object_share,
        "",
        "mass",
        "AUROC",
        "better than random",
        "better than centre",
    );
    for (id, score) in methods {
        let (random, centre) = (verdict(&score.over_random), verdict(&score.over_centre));
        let line =
            format!("{id:<20} {:>5.1} % {:>7.3}  {random:<18} {centre}", 100.0 * score.mass, score.auroc);
        lines += line.trim_end();
        lines.push('\n');
    }
    lines + "\n"
}
