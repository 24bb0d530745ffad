//! `archaeo attention`: what a transformer's heads attend to.

use anyhow::Result;
use archaeo_analysis::attention::DistanceConvention;
use archaeo_analysis::attribution::{HeadFusion, RolloutOptions};
use archaeo_lab::{
    AgainstOptions, Attended, AttentionOptions, ComparedAttention, HeadChange, Purpose, Session,
};

use crate::cli::{Attention, Fusion};
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn run(arguments: &Attention, session: &Session, printer: &Printer) -> Result<()> {
    let options = options(arguments);
    options.check()?;
    let opened = session.open(arguments.subject.asked(), Purpose::Look)?;
    if let Some(against) = &arguments.against {
        let mut other = arguments.subject.asked();
        other.model.weights.clone_from(against);
        let other = session.open(other, Purpose::Look)?;
        let asked = AgainstOptions { convention: options.convention };
        return printer.result(&session.attention_against(&opened, &other, asked)?, compared);
    }
    printer.result(&session.attention(&opened, &options)?, lines)
}

fn options(arguments: &Attention) -> AttentionOptions {
    let fusion = match arguments.fusion {
        Fusion::Mean => HeadFusion::Mean,
        Fusion::Max => HeadFusion::Max,
        Fusion::Min => HeadFusion::Min,
    };
    AttentionOptions {
        layers: arguments.layer.clone(),
        methods: arguments.methods.clone(),
        rollout: RolloutOptions { fusion, discard: arguments.discard, start_layer: arguments.start_layer },
        convention: if arguments.raw { DistanceConvention::Raw } else { DistanceConvention::Renormalised },
        by_class: arguments.by_class,
        registers_test: arguments.registers_test,
        keep_maps: arguments.subject.about.export.is_some(),
    }
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
    let ComparedAttention { before, after, n, layers, heads, distance_convention, .. } = result;
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
    lines
}
