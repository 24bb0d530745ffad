//! The masks that a model predicts on images whose true masks are known.

use archaeo_analysis::masks::Overlap;
use archaeo_models::{Classifier, Pass};
use archaeo_ops::in_pool;
use burn::module::Module;
use burn::tensor::Device;
use rayon::prelude::*;

use crate::images::{ImageSource, load_ahead};
use archaeo_data::DataError;

/// Compares predicted masks with true ones, `batch_size` images at a time; `progress` receives the number of images done. Images without
/// a true mask are left out; `None` for a model that predicts no masks, and where no image has one.
///
/// # Errors
/// An image or a mask that cannot be decoded.
pub fn evaluate_masks(
    model: &Classifier,
    source: &dyn ImageSource,
    batch_size: usize,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Vec<Overlap>>, DataError> {
    if !model.has_masks() {
        return Ok(None);
    }
    let model = model.valid();
    let device = device.clone().inner();
    let mut overlaps = Vec::new();
    let mut done = 0;
    std::thread::scope(|scope| {
        for batch in load_ahead(scope, source, (0..source.len()).collect(), batch_size, 0) {
            let batch = batch?;
            let truths: Vec<_> = batch.indices.par_iter().map(|&index| source.mask(index, 0)).collect();
            let images = batch.tensor(&device);
            let answer = in_pool(|| model.masks(images, &mut Pass::evaluate(&mut ())));
            let (logits, _) = answer.expect("the model was seen to predict masks");
            let logits = logits.into_data().try_into_vec::<f32>().expect("logits are 32-bit floats");
            let pixels = logits.len() / batch.indices.len();
            for (logits, truth) in logits.chunks_exact(pixels).zip(truths) {
                overlaps.extend(truth?.map(|truth| Overlap::of(logits, &truth)));
            }
            done += batch.indices.len();
            progress(done);
        }
        Ok(())
    })?;
    Ok((!overlaps.is_empty()).then_some(overlaps))
}
