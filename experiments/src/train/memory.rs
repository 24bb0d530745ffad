//! Whether a training can fit into the memory there is, before any of it is taken.

use std::fs;

use archaeo_models::NetworkSpec;

use super::optimizer::Algorithm;
use super::recipe::Recipe;
use super::recipe_file::RecipeError;

/// Refuses a training that is certain to take more memory than the process may have. What is counted is a lower bound: a
/// training that passes may still be too large.
pub(super) fn check(recipe: &Recipe, network: &NetworkSpec) -> Result<(), RecipeError> {
    let (needed, available) = (least_bytes(recipe, network)?, available());
    match available {
        Some(available) if needed > available => Err(RecipeError::Memory {
            needed: gigabytes(needed),
            available: gigabytes(available),
            image_size: recipe.image_size,
            batch_size: recipe.batch_size,
        }),
        _ => Ok(()),
    }
}

fn gigabytes(bytes: f64) -> String {
    format!("{:.1} GB", bytes / 1e9)
}

/// Bytes that a training takes at the very least: weights, gradients, the optimiser's moments and averaged weights; and of each
/// image of a batch its pixels and what every block hands to the next.
fn least_bytes(recipe: &Recipe, network: &NetworkSpec) -> Result<f64, RecipeError> {
    let product = |shape: &[usize]| shape.iter().map(|&side| side as f64).product::<f64>();
    let parameters: f64 = network.arrays()?.iter().map(|(_, shape)| product(shape)).sum();
    let moments = match recipe.optimizer {
        Algorithm::Adamw { .. } => 2.0,
        Algorithm::Sgd { .. } => 1.0,
    };
    let copies = 2.0 + moments + if recipe.ema_decay.is_some() { 1.0 } else { 0.0 };
    let side = recipe.image_size as f64;
    // Pixels as bytes and as floats.
    let image = 3.0 * side * side * (1.0 + 4.0);
    Ok(4.0 * parameters * copies
        + recipe.batch_size as f64 * (image + 4.0 * values_between_blocks(network, side)))
}

/// Values that the blocks of a network hand on for one image.
fn values_between_blocks(network: &NetworkSpec, side: f64) -> f64 {
    let grid = |patch: usize| (side / patch as f64).floor().powi(2);
    match network {
        NetworkSpec::Vit(vit) => grid(vit.patch_size) * (vit.width * vit.depth) as f64,
        NetworkSpec::Beit(beit) => grid(beit.patch_size) * (beit.width * beit.depth) as f64,
        NetworkSpec::ZeroShot(tower) => {
            grid(tower.image.patch_size) * (tower.image.width * tower.image.depth) as f64
        }
        NetworkSpec::Swin(swin) => {
            grid(swin.patch_size) * (swin.width * swin.depths.first().unwrap_or(&1)) as f64
        }
        // The stem's feature map alone, of 16 channels or more at half the side or more.
        NetworkSpec::Resnet(_) | NetworkSpec::CifarResnet(_) => 16.0 * side * side / 4.0,
    }
}

/// Bytes that this process may have: of the machine, of its control group, of its address space. `None` where the system does
/// not say.
fn available() -> Option<f64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(1024.0 * line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()?)
    });
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<f64>().ok());
    let space = read("/proc/self/limits").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    });
    [machine, group, space].into_iter().flatten().reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::RecipeFile;

    fn needed(overrides: &[&str]) -> Result<f64, RecipeError> {
        let text = "model = \"vit_micro\"\nimage_size = 32\nepochs = 1\nbatch_size = 8\nlearning_rate = 1\n";
        let overrides: Vec<String> = overrides.iter().map(|&change| change.into()).collect();
        let recipe = RecipeFile::parse(text, &overrides)?.recipe(None)?;
        let classes = ["a", "b"].map(String::from);
        least_bytes(&recipe, &recipe.card(&classes)?.network)
    }

    #[test]
    fn what_is_needed_grows_with_what_is_asked_for() {
        let small = needed(&[]).unwrap();
        // 0.8 million parameters four times, and a little more for eight small images.
        assert!((1e7..1e8).contains(&small), "{small}");
        assert!(needed(&["ema_decay=0.9"]).unwrap() > small);
        assert!(needed(&["optimizer={name='sgd'}"]).unwrap() < small);
        // The positions alone are 16,384² of width 192.
        assert!(needed(&["image_size=65536"]).unwrap() > 4.0 * 16384.0 * 16384.0 * 192.0);
        assert!(needed(&["batch_size=1000000000"]).unwrap() > 1e12);
        assert!(needed(&["model=resnet_micro", "image_size=65536"]).unwrap() > 8.0 * 65536.0 * 65536.0 * 3.0);
    }

    #[test]
    fn what_no_machine_has_is_refused_with_its_size() {
        if available().is_none() {
            return; // the system does not say
        }
        let text =
            "model = \"vit_micro\"\nimage_size = 65536\nepochs = 1\nbatch_size = 1024\nlearning_rate = 1\n";
        let recipe = RecipeFile::parse(text, &[]).unwrap().recipe(None).unwrap();
        let device = burn::tensor::Device::flex();
        let error = recipe.build(&["a".into(), "b".into()], &device).unwrap_err().to_string();
        assert!(error.contains("takes at least ") && error.contains("lower image_size (65536)"), "{error}");
    }
}
