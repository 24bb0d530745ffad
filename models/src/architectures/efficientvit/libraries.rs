//! An EfficientViT in timm's configurations and files.

use serde_json::{Value, json};

use super::EfficientVitConfig;
use crate::architectures::vit::{PositionResampling, resample_positions};
use crate::describe::json::numbers;
use crate::export::{Library, TimmModel, arguments};
use crate::state::{Array, State};

pub(super) fn timm(config: &EfficientVitConfig) -> TimmModel {
    let stages = config.widths.len();
    let arguments = arguments(json!({
        "img_size": config.image_size,
        "embed_dim": config.widths,
        "key_dim": vec![config.key_dim; stages],
        "depth": config.depths,
        "num_heads": config.heads,
        "window_size": vec![config.window_size; stages],
        "kernels": config.kernels,
    }));
    TimmModel { library: Library::Timm, architecture: "efficientvit_m0".into(), arguments }
}

pub(super) fn apply_timm(
    config: &mut EfficientVitConfig,
    arguments: &Value,
    side: usize,
) -> Result<(), String> {
    config.image_size = side;
    let lists = [&mut config.widths, &mut config.depths, &mut config.heads, &mut config.kernels];
    for (key, list) in ["embed_dim", "depth", "num_heads", "kernels"].into_iter().zip(lists) {
        if let Some(given) = numbers(arguments, key)? {
            *list = given;
        }
    }
    config.kernels.truncate(config.heads.iter().copied().max().unwrap_or(0));
    for (key, size) in [("key_dim", &mut config.key_dim), ("window_size", &mut config.window_size)] {
        match numbers(arguments, key)?.as_deref() {
            None => {}
            Some([first, others @ ..]) if others.iter().all(|other| other == first) => *size = *first,
            Some(_) => return Err(format!("`{key}` must be the same in all stages")),
        }
    }
    Ok(())
}

/// The arrays of an EfficientViT, its attention biases resampled to the windows of its images.
pub(super) fn canonical(mut state: State, config: &EfficientVitConfig) -> State {
    state.retain(|name, _| !name.ends_with(".attention_bias_idxs"));
    let stage_of = |name: &str| {
        let number = name.strip_suffix(".mixer.m.attn.attention_biases")?.strip_prefix("stages.")?;
        number.split('.').next()?.parse().ok().filter(|stage| *stage < config.widths.len())
    };
    let fitted = |(name, array): (String, Array)| match stage_of(&name) {
        Some(stage) => (name, fitted_biases(array, config.window_side(stage))),
        None => (name, array),
    };
    state.into_iter().map(fitted).collect()
}

/// Biases `[heads, from²]` by distance in rows and columns, for windows of another side: resampled by antialiased cubic convolution as
/// by timm's `resize_rel_pos_bias_table_levit`. Biases that already fit, or are none, are returned as they are.
fn fitted_biases(biases: Array, to: usize) -> Array {
    let &[heads, offsets] = biases.shape.as_slice() else { return biases };
    let from = offsets.isqrt();
    if from == to || from == 0 || from * from != offsets {
        return biases;
    }
    let of_head = |values: &[f32]| resample_positions(values, 1, from, to, PositionResampling::Antialiased);
    let values = biases.values.chunks_exact(offsets).flat_map(of_head).collect();
    Array { shape: vec![heads, to * to], values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biases_are_resampled_as_by_timm() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/levit_biases.safetensors");
        let (state, _): (State, _) = crate::read_arrays(path.as_ref()).unwrap();
        for (from, to) in [(7, 4), (7, 3), (4, 7), (2, 7), (4, 1)] {
            let found = fitted_biases(state[&format!("from.{from}")].clone(), to);
            let expected = &state[&format!("to.{from}.{to}")];
            assert_eq!(found.shape, expected.shape);
            for (a, b) in found.values.iter().zip(&expected.values) {
                assert!((a - b).abs() < 1e-5, "{from} to {to}: {a} {b}");
            }
            assert_eq!(fitted_biases(found.clone(), to), found, "it fits");
        }
    }
}
