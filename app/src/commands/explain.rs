//! `archaeo explain`: what a model looks at, image by image.

use anyhow::Result;
use archaeo_lab::{
    Answer, Better, ExplainOptions, Explained, ExplainedImage, Localisation, MethodChoice, Over, Purpose,
    Session, Target,
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
    let Explain { images, methods, target, layer, out, subject } = arguments;
    let options = ExplainOptions {
        methods: match methods.iter().any(|method| method == "all") {
            true => MethodChoice::All,
            false => MethodChoice::These(methods.clone()),
        },
        target: Target::parse(target),
        layer: *layer,
    };
    let purpose = if options.target == Target::Label { Purpose::Score } else { Purpose::Look };
    let mut sources: Vec<Option<String>> = images.iter().cloned().map(Some).collect();
    if sources.is_empty() || subject.data.is_some() {
        sources.push(subject.data.clone());
    }
    let opened = session.open_sources(subject.asked(), &sources, purpose)?;
    printer.result(&session.explain_into(&opened, &options, out)?, lines)
}

fn lines(result: &Explained) -> String {
    let Explained { model, n, methods, images, localisation, folder, .. } = result;
    let images_in_words = if *n == 1 { "1 image".to_owned() } else { format!("{n} images") };
    let titles: Vec<&str> = methods.iter().map(|method| method.title).collect();
    let mut lines = format!("{model} on {images_in_words}: {}\n", titles.join(", "));
    for image in images.iter().take(LISTED) {
        lines += &of_image(image);
    }
    if let Some(more @ 1..) = n.checked_sub(LISTED) {
        lines += &format!("and {more} more\n");
    }
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

fn table(localisation: &Localisation) -> String {
    let Localisation { n, object_share, methods } = localisation;
    let verdict = |over: &Option<Over>| match over.map(|over| over.better) {
        None => "",
        Some(Better::Yes) => "yes",
        Some(Better::No) => "no",
        Some(Better::CannotBeTold) => "cannot be told",
    };
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
