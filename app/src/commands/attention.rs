//! `archaeo attention`: what a transformer's heads attend to.

use anyhow::Result;
use archaeo_analysis::attention::DistanceConvention;
use archaeo_lab::{
    AgainstOptions, Attended, AttentionOptions, AttentionStrata, ByHead, ComparedAttention, HeadChange,
    Purpose, Session, StratumAttention,
};

use crate::cli::Attention;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn run(arguments: &Attention, session: &Session, printer: &Printer) -> Result<()> {
    let options = options(arguments)?;
    let folder = arguments.out.as_deref();
    if arguments.strata {
        let subject = arguments.subject.asked();
        let found = session.attention_strata(&subject, options.convention, folder)?;
        return printer.result(&found, |found| strata(found, arguments));
    }
    let opened = session.open(arguments.subject.asked(), Purpose::Look)?;
    if let Some(against) = &arguments.against {
        let mut other = arguments.subject.asked();
        other.model.weights.clone_from(against);
        let other = session.open(other, Purpose::Look)?;
        let asked = AgainstOptions { convention: options.convention };
        return printer.result(&session.attention_against(&opened, &other, asked, folder)?, compared);
    }
    printer.result(&session.attention(&opened, &options)?, lines)
}

fn options(arguments: &Attention) -> Result<AttentionOptions> {
    Ok(AttentionOptions {
        layers: arguments.layer.clone(),
        methods: arguments.methods.clone(),
        rollout: arguments.rollout.asked()?,
        convention: if arguments.raw { DistanceConvention::Raw } else { DistanceConvention::Renormalised },
        by_class: arguments.by_class,
        registers_test: arguments.registers_test,
        keep_maps: arguments.subject.about.export.is_some(),
    })
}

fn lines(result: &Attended) -> String {
    let Attended { model, n, read_out, layers, distance_convention, .. } = result;
    let rows = |title: &str, statistic: &str| {
        let mut lines = format!("{title}\n");
        for (layer, heads) in layers.iter().zip(result.statistics.get(statistic).into_iter().flatten()) {
            let cells: String = heads.iter().map(|value| format!("{value:8.2}")).collect();
            lines += &format!("layer {layer:>2} {cells}\n");
        }
        lines
    };
    let artefacts =
        result.artefacts.as_ref().map_or_else(String::new, |found| format!("\n- {}\n", found.summary));
    let diversity: String = result.heads_compared.iter().zip(layers).fold(
        "divergence between heads, nats (95 % interval)\n".to_owned(),
        |lines, (layer, number)| {
            let [low, high] = layer.interval;
            lines + &format!("layer {number:>2} {:8.3}  {low:.3} to {high:.3}\n", layer.diversity)
        },
    );
    format!(
        "{model} on {n} images; its head reads {read_out}; columns are attention heads, layers and heads are numbered from 1\n\n\
         {}\n{}\n{diversity}{artefacts}",
        rows(&format!("mean attention distance, pixels ({distance_convention})"), "attention_distance"),
        rows("entropy, nats", "attention_entropy")
    )
}

fn compared(result: &ComparedAttention) -> String {
    let ComparedAttention { before, after, n, layers, heads, distance_convention, pictures } = result;
    let mut lines = format!(
        "{before} and then {after} on the same {n} images; layers and heads are numbered from 1\n\
         distance in pixels ({distance_convention}); * where the change has an adjusted p-value below 0.05\n\n\
         layer head  distance        entropy, nats   map's divergence (of two images)\n"
    );
    for (layer, heads) in layers.iter().zip(heads) {
        for (number, head) in (1..).zip(heads) {
            let HeadChange { distance, entropy, map_divergence, between_images } = head;
            let star = |adjusted: f64| if adjusted < 0.05 { '*' } else { ' ' };
            let between = between_images.as_ref().map_or(f64::NAN, |between| between.value);
            lines += &format!(
                "{layer:>5} {number:>4}  {:6.1} {:+6.1}{}  {:6.2} {:+6.2}{}  {:6.3} ({between:.3})\n",
                distance.before,
                distance.difference.value,
                star(distance.adjusted),
                entropy.before,
                entropy.difference.value,
                star(entropy.adjusted),
                map_divergence.value,
            );
        }
    }
    lines + &written(pictures)
}

/// Statistics by layer that are shown, if the model has them, and how many decimals of each.
const BY_LAYER: [(&str, &str, usize); 5] = [
    ("attention_distance", "mean attention distance, pixels", 2),
    ("attention_entropy", "entropy, nats", 3),
    ("class_token_mass", "weight on the class token", 3),
    ("distillation_token_mass", "weight on the distillation token", 3),
    ("register_mass", "weight on the registers", 3),
];

fn strata(result: &AttentionStrata, arguments: &Attention) -> String {
    let AttentionStrata { model, n, read_out, layers, strata, distance_convention, pictures, .. } = result;
    let row = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells.map(|cell| format!("{cell:>10}")).collect();
        format!("{name:<9}{cells}\n")
    };
    let epochs = match strata.len() {
        1 => "1 epoch".to_owned(),
        count => format!("{count} epochs"),
    };
    let mut lines = format!(
        "{model} at {epochs} of {} on the same {n} images; its head reads {read_out}; means over heads, layers are numbered from 1\n\
         distance: {distance_convention}\n\n",
        arguments.subject.weights.display()
    );
    lines += &row("epoch", &mut strata.iter().map(|of| of.stratum.epoch.to_string()));
    if strata.iter().any(|of| of.stratum.validation_accuracy.is_some()) {
        let accuracy = |of: &StratumAttention| {
            of.stratum.validation_accuracy.map_or("–".into(), |share| format!("{:.1} %", 100.0 * share))
        };
        lines += &row("accuracy", &mut strata.iter().map(accuracy));
    }
    let mean = |heads: &[f64]| heads.iter().sum::<f64>() / heads.len() as f64;
    for (name, title, decimals) in BY_LAYER {
        let of_strata: Option<Vec<&ByHead>> = strata.iter().map(|of| of.statistics.get(name)).collect();
        let Some(of_strata) = of_strata else { continue };
        lines += &format!("\n{title}\n");
        for (place, number) in layers.iter().enumerate() {
            let cells = of_strata.iter().map(|layers| format!("{:.decimals$}", mean(&layers[place])));
            lines += &row(&format!("layer {number:>2}"), &mut cells.into_iter());
        }
    }
    lines + &written(pictures)
}

/// Where figures are.
fn written(pictures: &[std::path::PathBuf]) -> String {
    let names: Vec<String> = pictures.iter().map(|path| path.display().to_string()).collect();
    if names.is_empty() { String::new() } else { format!("\nfigures: {}\n", names.join(", ")) }
}
