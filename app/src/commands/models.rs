//! `archaeo models`: what is known by name, and what a model consists of.

use anyhow::Result;
use archaeo_lab::{KnownModel, ModelDescription, Session, known_models, said_by};
use archaeo_models::Preprocessing;

use crate::cli::{Models, ModelsAction};
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model that is not known, or a file that cannot be read.
pub fn run(arguments: &Models, session: &Session, printer: &Printer) -> Result<()> {
    match &arguments.action {
        None => printer.result(&known_models()?, |known| list(known)),
        Some(ModelsAction::Show { model }) => printer.result(&session.describe_model(model)?, lines),
    }
}

/// Every name with its parameters and multiply-adds.
fn list(known: &[KnownModel]) -> String {
    let mut lines = format!("{:<36} {:>6} {:>14} {:>14}\n", "name", "pixels", "parameters", "multiply-adds");
    let mut last = "";
    for KnownModel { name, family, image_size, parameters, multiply_adds } in known {
        if *family != last {
            last = family;
            lines += &format!("\n{family}\n");
        }
        let amount = |amount: f64| match amount {
            few if few < 1e9 => format!("{:.2} M", few / 1e6),
            many => format!("{:.2} G", many / 1e9),
        };
        let (parameters, multiply_adds) = (amount(*parameters as f64), amount(*multiply_adds as f64));
        lines += &format!("{name:<36} {image_size} {parameters:>14} {multiply_adds:>14}\n");
    }
    lines
}

fn lines(model: &ModelDescription) -> String {
    let ModelDescription { name, description, parameters, multiply_adds, preprocessing, .. } = model;
    let Preprocessing { image_size, crop, fit, interpolation, mean, std } = &preprocessing.values;
    let mut lines = format!("{name}: {description}\n\n");
    for (name, shape) in &model.arrays {
        lines += &format!("{name:<48} {shape:?}\n");
    }
    lines += &format!("\nparameters     {}\n", grouped(*parameters as u64));
    lines += &format!(
        "multiply-adds  {} for an image of {image_size} px: of convolutions, dense layers and the products of attention, each once\n",
        grouped(*multiply_adds)
    );
    lines += "\npreprocessing\n";
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
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(" ")
}
