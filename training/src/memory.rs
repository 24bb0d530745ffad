//! Whether a training fits into memory, checked before anything is allocated.

use archaeo_models::{NetworkSpec, check_memory};

use super::optimizer::Algorithm;
use super::recipe::Recipe;
use super::recipe_file::RecipeError;
use crate::transfer::Freeze;

/// Refuses a training that certainly exceeds the memory of the process. The estimate is a lower bound: a training that passes may
/// still be too large.
pub(super) fn check(recipe: &Recipe, network: &NetworkSpec) -> Result<(), RecipeError> {
    check_memory(least_bytes(recipe, network)?).map_err(|source| RecipeError::Memory {
        source,
        image_size: recipe.image_size,
        batch_size: recipe.batch_size,
    })
}

/// A lower bound of a training's memory in bytes: weights, gradients, the optimiser's moments and averaged weights, and for each
/// image of a shard its pixels and the output of every block; where part of the model is frozen, weights and pixels alone.
fn least_bytes(recipe: &Recipe, network: &NetworkSpec) -> Result<f64, RecipeError> {
    let product = |shape: &[usize]| shape.iter().map(|&side| side as f64).product::<f64>();
    let parameters: f64 = network.arrays()?.iter().map(|(_, shape)| product(shape)).sum();
    let moments = match recipe.optimizer {
        Algorithm::Adamw { .. } => 2.0,
        Algorithm::Sgd { .. } => 1.0,
    };
    let copies = match recipe.freeze {
        Freeze::None => 2.0 + moments + if recipe.ema_decay.is_some() { 1.0 } else { 0.0 },
        _ => 1.0,
    };
    let side = recipe.image_size;
    let further_blocks = network.largest_blocks().saturating_sub(1) as f64;
    // Nothing is kept of a frozen block for its gradient.
    let further_blocks = if recipe.freeze == Freeze::None { further_blocks } else { 0.0 };
    let image = network.least_bytes_per_image(side) + 4.0 * further_blocks * network.values_of_a_block(side);
    Ok(4.0 * parameters * copies + recipe.shard_images() as f64 * image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecipeFile;

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
        // Some hundred thousand parameters four times, and a little more for eight small images.
        assert!((1e6..1e8).contains(&small), "{small}");
        assert!(needed(&["ema_decay=0.9"]).unwrap() > small);
        assert!(needed(&["optimizer={name='sgd'}"]).unwrap() < small);
        assert!(needed(&["shards=4"]).unwrap() < small);
        // The positions alone are 16,384² of width 192.
        assert!(needed(&["image_size=65536"]).unwrap() > 4.0 * 16384.0 * 16384.0 * 192.0);
        assert!(needed(&["batch_size=1000000000"]).unwrap() > 1e12);
        assert!(needed(&["model=resnet_micro", "image_size=65536"]).unwrap() > 8.0 * 65536.0 * 65536.0 * 3.0);
    }

    #[test]
    fn what_no_machine_has_is_refused_with_its_size() {
        if check_memory(f64::MAX).is_ok() {
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
