//! `archaeo profile`: what models cost.

use anyhow::Result;
use archaeo_analysis::statistics::Measured;
use archaeo_lab::{ModelCost, ProfileOptions, Session, SizeCost};

use crate::cli::Profile;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model that is not known, a checkpoint or images that cannot be read, a folder that cannot be written.
pub fn run(arguments: &Profile, session: &Session, printer: &Printer) -> Result<()> {
    let Profile { models, image_sizes, rounds, batch_size, data, out } = arguments;
    let options = ProfileOptions {
        models: models.clone(),
        image_sizes: image_sizes.iter().copied().map(usize::from).collect(),
        rounds: rounds.get(),
        batch: *batch_size,
        data: data.clone(),
        out: out.clone(),
    };
    printer.result(&session.profile(&options)?, |profile| {
        let environment = &profile.environment;
        let mut lines = format!(
            "medians of {} passes in {} on {}, {} threads; throughput with {} images per pass\n\n",
            profile.rounds, profile.precision, environment.processor, environment.threads, profile.batch
        );
        lines += &table(&profile.models);
        profile.models.iter().for_each(|model| lines += &by_size(model));
        if let Some(folder) = out {
            lines += &format!("\nreport.html, report.md and profile.json are in {}\n", folder.display());
        }
        lines
    })
}

fn table(models: &[ModelCost]) -> String {
    let mut lines = format!(
        "{:<32} {:>5} {:>7} {:>10} {:>9} {:>9}  {:<16} {:>8}  {:<14} {:>7} {:>8}\n",
        "", "px", "tokens", "parameters", "madds", "ms", "interval", "images/s", "interval", "MiB", "correct"
    );
    for model in models {
        let SizeCost { image_size, tokens, multiply_adds, latency, memory, .. } = &model.usual;
        let (ms, speed) = (1e3 * latency.value, &model.throughput);
        let accuracy =
            model.accuracy.as_ref().map_or_else(String::new, |found| format!("{:.1} %", 100.0 * found.value));
        let line = format!(
            "{:<32} {image_size:>5} {:>7} {:>8.2} M {:>7.2} G {ms:>9.2}  {:<16} {:>8.1}  {:<14} {:>7} {accuracy:>8}",
            model.name,
            tokens.map_or_else(|| "-".into(), |tokens| tokens.to_string()),
            model.parameters as f64 / 1e6,
            *multiply_adds as f64 / 1e9,
            format!("{:.2} to {:.2}", 1e3 * latency.low, 1e3 * latency.high),
            speed.value,
            format!("{:.1} to {:.1}", speed.low, speed.high),
            mebibytes(*memory),
        );
        lines += line.trim_end();
        lines.push('\n');
    }
    lines
}

fn by_size(model: &ModelCost) -> String {
    if model.sizes.is_empty() && model.not_taken.is_empty() {
        return String::new();
    }
    let mut lines = format!(
        "\n{}\n{:>5} {:>7} {:>9} {:>18} {:>9}  {:<16} {:>7}\n",
        model.name, "px", "tokens", "madds", "attention products", "ms", "interval", "MiB"
    );
    for size in &model.sizes {
        let SizeCost { image_size, tokens, multiply_adds, latency, memory, .. } = size;
        lines += &format!(
            "{image_size:>5} {:>7} {:>7.2} G {:>16.1} % {:>9.2}  {:<16} {:>7}\n",
            tokens.map_or_else(|| "-".into(), |tokens| tokens.to_string()),
            *multiply_adds as f64 / 1e9,
            100.0 * size.attention_share(),
            1e3 * latency.value,
            format!("{:.2} to {:.2}", 1e3 * latency.low, 1e3 * latency.high),
            mebibytes(*memory),
        );
    }
    for (size, reason) in &model.not_taken {
        lines += &format!("{size:>5} not taken: {reason}\n");
    }
    for (what, growth) in [("time", &model.time_growth), ("multiply-adds", &model.multiply_adds_growth)] {
        if let Measured::Known(law) = growth {
            let exponent = &law.exponent;
            lines += &format!(
                "{what} grows as pixels to the power of {:.2} ({:.2} to {:.2})\n",
                exponent.value, exponent.low, exponent.high
            );
        }
    }
    lines
}

fn mebibytes(bytes: Option<usize>) -> String {
    bytes.map_or_else(|| "-".into(), |bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20)))
}
