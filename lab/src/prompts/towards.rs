//! Rollout towards prompts: through which patches attention raises the similarity of an image with the text of a class.

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Attribution, Evidence, GradientRollout, Heatmap, Rollout};
use archaeo_models::{Network, Pass};
use archaeo_plot::{Bars, Colormap, Figure, Grid, Heat, Image, Panel, to_png};
use archaeo_random::spread;
use archaeo_training::images::{Batch, Preprocessed};
use serde::Serialize;

use super::Files;
use crate::error::LabError;
use crate::figures::{OPACITY, grey, largest};
use crate::opened::Opened;

/// Images that are shown, of different classes where there are some.
const SHOWN: usize = 4;

/// CSS pixels of a picture's side.
const SIDE: usize = 144;

/// An image, and the texts of two classes that its rollout is shown towards.
#[derive(Clone, Debug, Serialize)]
pub struct TowardsPrompts {
    /// Name of the image.
    pub image: String,
    /// Its own class, then the other class whose text is most similar to it.
    pub classes: [usize; 2],
    /// The image's cosine with the prototype of each.
    pub similarities: [f64; 2],
    /// Gradient rollout towards each, `(rows, columns)` row by row.
    pub maps: [Vec<f32>; 2],
    /// Rows and columns of the maps.
    pub grid: [usize; 2],
}

/// Rollouts of a few images, and their figure as PNG and as SVG. Only one class leaves nothing to compare with: nothing is shown.
pub(super) fn towards_prompts(opened: &Opened, seed: u64) -> Result<(Vec<TowardsPrompts>, Files), LabError> {
    let Opened { model, device, indices, .. } = opened;
    let (card, split) = (model.card(), opened.split()?);
    let Network::ZeroShot(network) = &model.network else { return Ok(Default::default()) };
    if card.classes.len() < 2 {
        return Ok(Default::default());
    }
    let mut chosen = spread(&split.labels(), indices, SHOWN);
    chosen.sort_unstable();
    let source = Preprocessed { split, preprocessing: &card.preprocessing };
    let batch = Batch::load(&source, &chosen, 0)?;
    let logits = model.logits(batch.tensor(device), &mut Pass::evaluate(&mut ()));
    // A logit is the cosine times one positive number.
    let scale = network.logit_scale.val().exp().unsqueeze();
    let cosines = (logits / scale).into_data().try_into_vec::<f32>().expect("logits are 32-bit floats");
    let count = card.classes.len();
    let other = |image: usize| {
        let own = batch.labels[image];
        let row = &cosines[image * count..][..count];
        let others = (0..count).filter(|class| *class != own);
        others.max_by(|a, b| row[*a].total_cmp(&row[*b])).expect("there are two classes")
    };
    let targets = [batch.labels.clone(), (0..chosen.len()).map(other).collect::<Vec<usize>>()];

    let ids: Vec<u64> = chosen.iter().map(|&index| index as u64).collect();
    let evidence = Evidence::new(model, batch.tensor(device), Keys { seed, images: &ids });
    let plain = Rollout::USUAL.explain(&evidence, &targets[0])?;
    let [own, others] =
        [GradientRollout.explain(&evidence, &targets[0])?, GradientRollout.explain(&evidence, &targets[1])?];
    let shown: Vec<TowardsPrompts> = (0..chosen.len())
        .map(|image| {
            let classes = [0, 1].map(|which| targets[which][image]);
            TowardsPrompts {
                image: split.identifier(chosen[image]),
                classes,
                similarities: classes.map(|class| f64::from(cosines[image * count + class])),
                maps: [own[image].values.clone(), others[image].values.clone()],
                grid: [own[image].height, own[image].width],
            }
        })
        .collect();
    let title = format!("{}: rollout towards prompts", card.name);
    let figure = drawn(title, &shown, &card.classes, &batch.images, [&plain, &own, &others])?;
    Ok((shown, figure))
}

fn drawn(
    title: String,
    shown: &[TowardsPrompts],
    classes: &[String],
    pictures: &[Image],
    maps: [&[Heatmap]; 3],
) -> Result<Files, LabError> {
    let greys: Vec<Image> = pictures.iter().map(grey).collect();
    let mut panels = Vec::new();
    for (image, TowardsPrompts { image: name, classes: [own, other], similarities, .. }) in
        shown.iter().enumerate()
    {
        let note = |which: usize| format!("cosine {:.3}", similarities[which]);
        panels.push(Panel {
            title: classes[*own].clone(),
            note: name.clone(),
            picture: &pictures[image],
            heat: None,
            axes: None,
        });
        let titles = [
            ("rollout".to_owned(), "whatever the text".to_owned()),
            (format!("towards “{}”", classes[*own]), note(0)),
            (format!("towards “{}”", classes[*other]), note(1)),
        ];
        for ((title, note), maps) in titles.into_iter().zip(maps) {
            let map = &maps[image];
            let lowest = map.values.iter().copied().fold(f32::INFINITY, f32::min);
            let heat = Heat {
                grid: Grid::new(&map.values, map.height, map.width)?,
                colormap: Colormap::Inferno,
                range: [lowest, largest(map.values.clone())],
                opacity: OPACITY,
            };
            panels.push(Panel { title, note, picture: &greys[image], heat: Some(heat), axes: None });
        }
    }
    let figure = Figure {
        title,
        lines: vec![
            "Left to right: the image; rollout; rollout of the attention that raises its cosine with the prompts of its class, and with \
             those of the most similar other class"
                .into(),
            "Each map has a scale of its own, from its smallest value".into(),
        ],
        panels,
        columns: 4,
        side: SIDE,
        bars: Bars::Each,
    };
    Ok(vec![
        ("attention.png".into(), to_png(&figure.to_image()?)?),
        ("attention.svg".into(), figure.to_svg()?.into_bytes()),
    ])
}
