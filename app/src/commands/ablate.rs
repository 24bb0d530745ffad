//! `archaeo ablate`: what each attention head of a transformer is worth.

use std::path::Path;

use anyhow::Result;
use archaeo_experiments::findings::HeadFindings;
use archaeo_experiments::studies::{Laboratory, StudySizes, heads};
use serde_json::json;

use super::subject::{Opened, open};
use crate::cli::{Ablate, Global};
use crate::printer::Printer;
use crate::progress::{Bars, listen_for_interrupt};

/// Runs the command.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn run(arguments: &Ablate, global: &Global, printer: &Printer) -> Result<()> {
    let subject = &arguments.subject;
    let opened = open(subject, global, printer)?;
    opened.require_attention(subject)?;
    let Opened { model, dataset, split, indices, device, .. } = &opened;
    listen_for_interrupt()?;
    let bars = Bars::default();
    let sizes = StudySizes {
        batch_size: subject.batch_size.into(),
        ablation_images: indices.len(),
        ..StudySizes::default()
    };
    let lab = Laboratory {
        folder: Path::new("."),
        dataset,
        main_split: split,
        vit: model,
        cnn: model,
        device,
        sizes: &sizes,
        seed: global.seed.unwrap_or(0),
        progress: &bars,
    };
    let findings = heads(&lab)?;
    bars.finish();
    let mut result = json!({ "model": model.card().name, "precision": global.precision_name() });
    let fields = result.as_object_mut().expect("just made");
    fields.extend(serde_json::to_value(&findings)?.as_object().cloned().unwrap_or_default());
    printer.result(&result, |_| table(&findings))
}

fn table(findings: &HeadFindings) -> String {
    let HeadFindings { n, baseline, ranking, gradient_agreement, .. } = findings;
    let mut lines =
        format!("accuracy {:.2} % on {n} images with every head in place\n\n", 100.0 * baseline.value);
    lines += "              loss increase when replaced by          accuracy    gradient\n";
    lines += "layer head     mean (95 % interval)     zero  another's   lost     importance   adjusted p\n";
    for head in ranking {
        lines += &format!(
            "{:>5} {:>4}  {:>7.4} ({:>7.4} to {:>7.4}) {:>7.4} {:>7.4}  {:>6.2} %   {:>9.5}   {:>9.3e}\n",
            head.layer,
            head.head,
            head.mean.value,
            head.mean.low,
            head.mean.high,
            head.zero.value,
            head.resample.value,
            100.0 * head.accuracy_drop.value,
            head.gradient.value,
            head.adjusted_p
        );
    }
    lines
        + &match gradient_agreement {
            Some(agreement) => {
                format!(
                    "\nrank correlation of gradient importance with mean ablation: {:.2}",
                    agreement.value
                )
            }
            None => "\nrank correlation of gradient importance with mean ablation: undefined".into(),
        }
}
