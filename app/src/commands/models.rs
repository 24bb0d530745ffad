//! `archaeo models`: what is known by name, and what a model consists of.

use std::path::Path;

use anyhow::Result;
use archaeo_models::{Classifier, ModelCard, NetworkSpec, Preprocessing, load, state_of};
use burn::tensor::Device;
use serde_json::json;

use crate::cli::{Models, ModelsAction};
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model that is not known, or a file that cannot be read.
pub fn run(arguments: &Models, printer: &Printer) -> Result<()> {
    match &arguments.action {
        None => printer.result(&NetworkSpec::names(), |names| names.join("\n")),
        Some(ModelsAction::Show { model }) => show(model, printer),
    }
}

fn show(name: &str, printer: &Printer) -> Result<()> {
    let device = Device::flex();
    let model = if Path::new(name).exists() {
        load(Path::new(name), None, &device)?
    } else {
        let image_size = if name.ends_with("_cifar") || name.ends_with("_micro") { 32 } else { 224 };
        let classes = if image_size == 32 { 10 } else { 1000 };
        let network = NetworkSpec::named(name, classes, image_size)?;
        let preprocessing = Preprocessing::plain(image_size);
        let classes = (0..classes).map(|class| class.to_string()).collect();
        Classifier::new(ModelCard { name: name.into(), network, preprocessing, classes }, 0, &device)?
    };
    let arrays: Vec<(String, Vec<usize>)> =
        state_of(&model).into_iter().map(|(name, array)| (name, array.shape)).collect();
    let result = json!({
        "name": model.card().name,
        "parameters": model.parameter_count(),
        "network": model.card().network,
        "preprocessing": model.card().preprocessing,
        "classes": model.card().classes,
        "arrays": arrays,
    });
    printer.result(&result, |_| {
        let mut lines = format!("{}: {} parameters\n\n", model.card().name, model.parameter_count());
        for (name, shape) in &arrays {
            lines += &format!("{name:<40} {shape:?}\n");
        }
        let Preprocessing { image_size, crop, interpolation, mean, std, .. } = &model.card().preprocessing;
        lines + &format!(
            "\npreprocessing: {image_size} px, crop {crop}, {interpolation:?}, mean {mean:?}, deviation {std:?}"
        )
    })
}
