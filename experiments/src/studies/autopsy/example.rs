//! The median case: one image that is neither the best nor the worst, before and under the attack.

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::autopsy::Autopsy;
use archaeo_analysis::attacks::{Attack, Batch, Pgd, images};
use archaeo_analysis::attribution::Evidence;
use archaeo_data::Image;
use archaeo_training::images::to_tensor;

use super::findings::MedianCase;
use crate::scene::{Scene, StudyError};
use crate::studies::explained::usual;
use crate::studies::pictures::{PANEL, panel};
use crate::subjects::ModelName;

/// Of the images that the attack fools, the one in the middle by what it takes from the margin; pictures of it go to the run folder.
///
/// # Errors
/// Data that cannot be read, a picture that cannot be written.
pub(super) fn median(
    scene: &Scene,
    name: ModelName,
    fooled: &[(usize, Autopsy)],
    attack: &Pgd,
) -> Result<MedianCase, StudyError> {
    let mut order: Vec<usize> = (0..fooled.len()).collect();
    let taken = |place: usize| fooled[place].1.margins[0] - fooled[place].1.margins[1];
    order.sort_by(|&a, &b| taken(a).total_cmp(&taken(b)));
    let (index, found) = &fooled[order[(order.len() - 1) / 2]];
    let (model, split, index) = (scene.model(name), scene.split()?, *index);
    let ids = [index as u64];
    let keys = Keys { seed: scene.seed, images: &ids };
    let seen = scene.images_for(model, &[index])?;
    let clean = to_tensor(&seen, scene.device);
    let label = split.label(index);
    let outcomes = attack.run(model, &Batch::new(clean.clone(), &[label]), &keys);
    let attacked = images(&outcomes, &clean);
    let values = &outcomes[0].image;
    let plane = values.len() / 3;
    let mut shown = Image::filled(seen[0].width(), seen[0].height(), [0; 3]);
    for (pixel, channels) in shown.pixels_mut().chunks_exact_mut(3).enumerate() {
        for (channel, value) in channels.iter_mut().enumerate() {
            *value = (values[channel * plane + pixel] * 255.0).round() as u8;
        }
    }
    let method = usual(&model.card().network);
    let mut pictures = Vec::new();
    for (what, image, tensor) in [("before", &seen[0], clean), ("after", &shown, attacked)] {
        let evidence = Evidence::new(model, tensor, keys);
        let heatmap = method.explain_predicted(&evidence)?.remove(0);
        let called = |of: &str| format!("autopsy-{name}-{what}{of}");
        pictures.push(scene.save(&called(""), &panel(image, PANEL)?)?);
        pictures.push(scene.save_heatmap(&called("-heatmap"), image, &heatmap)?.picture);
    }
    Ok(MedianCase {
        index,
        identifier: split.identifier(index),
        classes: [label, found.answer],
        margins: found.margins,
        method: method.info().title.into(),
        pictures,
    })
}
