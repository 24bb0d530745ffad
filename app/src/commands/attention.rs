//! `archaeo attention`: what a transformer's heads attend to.

use anyhow::Result;
use archaeo_analysis::attention::DistanceConvention;
use archaeo_analysis::attribution::{HeadFusion, RolloutOptions};
use archaeo_lab::{Attended, AttentionOptions, Purpose, Session};

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
    format!(
        "{model} on {n} images; its head reads {read_out}; columns are attention heads, layers and heads are numbered from 1\n\n\
         {}\n{}",
        rows(&format!("mean attention distance, pixels ({distance_convention})"), "attention_distance"),
        rows("entropy, nats", "attention_entropy")
    )
}
