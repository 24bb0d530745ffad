//! `archaeo models`: what is known by name, and what a model consists of.

use std::path::Path;

use anyhow::Result;
use archaeo_models::{
    Described, ModelCard, NetworkSpec, Origin, Preprocessing, SourcedPreprocessing, Usual, usual,
};
use serde_json::{Value, json};

use super::checkpoint::find;
use crate::cli::{Models, ModelsAction, Reading};
use crate::hub;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model that is not known, or a file that cannot be read.
pub fn run(arguments: &Models, printer: &Printer) -> Result<()> {
    match &arguments.action {
        None => list(printer),
        Some(ModelsAction::Show { model }) => show(model, printer),
    }
}

/// Every name with its parameters and multiply-adds, as its published checkpoints have them.
fn list(printer: &Printer) -> Result<()> {
    let row = |name: String| -> Result<Value> {
        let Usual { classes, preprocessing } = usual(&name);
        let side = preprocessing.image_size;
        let network = NetworkSpec::named(&name, classes, side)?;
        Ok(json!({
            "name": name,
            "family": network.family(),
            "image_size": side,
            "parameters": network.parameter_count()?,
            "multiply_adds": network.multiply_adds(side),
        }))
    };
    let rows = NetworkSpec::names().into_iter().map(row).collect::<Result<Vec<_>>>()?;
    printer.result(&rows, |rows| {
        let mut lines =
            format!("{:<36} {:>6} {:>14} {:>14}\n", "name", "pixels", "parameters", "multiply-adds");
        let mut family = "";
        for row in rows {
            let text = |key: &str| row[key].as_str().unwrap_or_default();
            if text("family") != family {
                family = text("family");
                lines += &format!("\n{family}\n");
            }
            let amount = |key: &str| match row[key].as_f64().unwrap_or_default() {
                few if few < 1e9 => format!("{:.2} M", few / 1e6),
                many => format!("{:.2} G", many / 1e9),
            };
            lines += &format!(
                "{:<36} {:>6} {:>14} {:>14}\n",
                text("name"),
                row["image_size"],
                amount("parameters"),
                amount("multiply_adds")
            );
        }
        lines
    })
}

fn show(name: &str, printer: &Printer) -> Result<()> {
    let Described { card, preprocessing, .. } = described(name, printer)?;
    let side = preprocessing.values.image_size;
    let multiply_adds = card.network.multiply_adds(side);
    let arrays = card.network.arrays()?;
    let parameters = card.network.parameter_count()?;
    let result = json!({
        "name": card.name,
        "description": card.network.describe(),
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "network": card.network,
        "preprocessing": super::checkpoint::described(&preprocessing),
        "classes": card.classes,
        "arrays": arrays,
    });
    printer.result(&result, |_| {
        let mut lines = format!("{}: {}\n\n", card.name, card.network.describe());
        for (name, shape) in &arrays {
            lines += &format!("{name:<48} {shape:?}\n");
        }
        lines += &format!("\nparameters     {}\n", grouped(parameters as u64));
        lines += &format!(
            "multiply-adds  {} for an image of {side} px: of convolutions, dense layers and the products of attention, each once\n",
            grouped(multiply_adds)
        );
        lines += "\npreprocessing\n";
        let Preprocessing { image_size, crop, fit, interpolation, mean, std } = &preprocessing.values;
        let values = [
            image_size.to_string(),
            crop.to_string(),
            format!("{fit:?}").to_lowercase(),
            interpolation.name().to_owned(),
            format!("{mean:?}"),
            format!("{std:?}"),
        ];
        for ((name, origin), value) in preprocessing.origins.iter().zip(values) {
            lines += &format!("  {name:<14} {value:<38} from {}\n", said_by(*origin));
        }
        lines
    })
}

/// The model of a checkpoint, or of a name with what its published checkpoints expect.
fn described(name: &str, printer: &Printer) -> Result<Described> {
    if Path::new(name).exists() || hub::is_reference(Path::new(name)) {
        return Ok(find(Path::new(name), None, &Reading::default(), &[], printer)?.described);
    }
    let Usual { classes, preprocessing } = usual(name);
    let network = NetworkSpec::named(name, classes, preprocessing.image_size)?;
    let classes = (0..classes).map(|class| class.to_string()).collect();
    let card = ModelCard { name: name.into(), network, preprocessing: preprocessing.clone(), classes };
    let preprocessing = SourcedPreprocessing::new(preprocessing, Origin::Catalogue);
    Ok(Described { card, preprocessing, inferred: None, notes: Vec::new(), doubt: None })
}

pub fn said_by(origin: Origin) -> &'static str {
    match origin {
        Origin::Card => "the checkpoint's card",
        Origin::Checkpoint => "a normaliser in the checkpoint",
        Origin::Catalogue => "the published checkpoints of this name",
        Origin::Config => "config.json",
        Origin::Request => "the command line",
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(" ")
}
