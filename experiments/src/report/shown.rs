//! What is said of images that are shown: which they are, what models answered, what the colours mean. The same in every section.

use crate::findings::{ExplainedImage, HeatmapShown, ImageShown};
use crate::studies::pictures::HEAT;
use crate::subjects::{ByModel, ModelName};

use super::names::{Names, capitalised, class_name, listed};
use archaeo_report::document::{Block, Legend, Picture, Table, Text, Verdict};
use archaeo_report::numbers::percent;

/// Colours named in a legend, from the lowest to the highest value.
const LEGEND_COLORS: u8 = 9;

/// Said in the place of pictures that older findings do not have.
pub(crate) const MADE_EARLIER: &str = "These findings were made by a version that kept other pictures; run the investigation again to see them.";

/// What a chapter has on each of its models: where there are several, a table of all first, and each under its name.
pub(crate) fn model_by_model<T>(
    findings: &ByModel<T>,
    names: &Names,
    side_by_side: impl FnOnce() -> Table,
    of_model: impl Fn(&T, ModelName) -> Vec<Block>,
) -> Vec<Block> {
    let several = findings.len() > 1;
    let mut blocks: Vec<Block> = several.then(|| Block::Table(side_by_side())).into_iter().collect();
    for (model, found) in findings.iter() {
        blocks.extend(several.then(|| Block::Heading(names.bare(model).into())));
        blocks.extend(of_model(found, model));
    }
    blocks
}

/// What the colours of heatmaps mean.
pub(crate) fn heat_legend(title: &str) -> Legend {
    let color = |i: u8| HEAT.colormap.color(f32::from(i) / f32::from(LEGEND_COLORS - 1));
    Legend {
        title: title.into(),
        colors: (0..LEGEND_COLORS).map(color).collect(),
        ends: ["the least in a picture".into(), "the most in it".into()],
    }
}

/// `A heatmap is drawn as it was computed, cell by cell and without interpolation: 8 × 8 for the ViT, 4 × 4 for the ResNet.`
pub(crate) fn cells<'a>(heatmaps: impl Iterator<Item = &'a ByModel<HeatmapShown>>, names: &Names) -> String {
    let mut grids: Vec<(ModelName, [usize; 2])> = Vec::new();
    for (name, heatmap) in heatmaps.flat_map(ByModel::iter) {
        if !grids.contains(&(name, heatmap.grid)) {
            grids.push((name, heatmap.grid));
        }
    }
    let each = grids.iter().map(|(name, grid)| format!("{} for {}", size(*grid), names.the(*name)));
    match listed(&each.collect::<Vec<_>>()) {
        none if none.is_empty() => String::new(),
        each => {
            let models: Vec<ModelName> = grids.iter().map(|(name, _)| *name).collect();
            format!(
                " Heatmaps are drawn as they were computed, cell by cell and without interpolation: {each}.{}",
                believed(&models, names)
            )
        }
    }
}

/// How far the heatmaps of these models can be believed; a model may be shown with heatmaps of several grids.
fn believed(models: &[ModelName], names: &Names) -> String {
    let mut once: Vec<ModelName> = Vec::new();
    models.iter().for_each(|model| {
        if !once.contains(model) {
            once.push(*model)
        }
    });
    let each = once.iter().map(|&model| {
        format!("{} of {}, {}", names.explained_by(model), names.the(model), names.believed(model))
    });
    format!(" How far they can be believed: {}.", each.collect::<Vec<_>>().join("; "))
}

/// `8 × 8`.
pub(crate) fn size([rows, columns]: [usize; 2]) -> String {
    format!("{rows}\u{a0}×\u{a0}{columns}")
}

/// The true class, and which image it is.
pub(crate) fn title(classes: &[String], label: usize, index: usize, identifier: &str) -> Text {
    let text = Text::new().strong(class_name(classes, label)).plain(format!(" · image {index}"));
    if identifier.is_empty() { text } else { text.plain(", ").code(identifier) }
}

/// Where the lab shows an image of the main split, as `archaeo lab --at` takes it.
pub(crate) fn in_lab(index: usize, view: &str, model: Option<ModelName>) -> String {
    let model = model.map_or_else(String::new, |model| format!("&model={model}"));
    format!("image=d{}{model}&view={view}", index + 1)
}

/// The image and each model's heatmap of it.
pub(crate) fn pictures(
    image: &ImageShown,
    heatmaps: &ByModel<HeatmapShown>,
    classes: &[String],
    names: &Names,
) -> Vec<Picture> {
    let what = format!("image {} of class {}", image.index, class_name(classes, image.label));
    let first = Picture::new(
        &image.picture,
        format!("Image {} of class {}", image.index, class_name(classes, image.label)),
    )
    .in_lab(in_lab(image.index, "explanations", None));
    let mut pictures = vec![if heatmaps.is_empty() { first } else { first.labelled("image") }];
    pictures.extend(heatmaps.iter().map(|(name, heatmap)| {
        let explains = format!("{} {}", names.bare(name), names.explained_by(name));
        Picture::new(&heatmap.picture, format!("{explains} over {what}")).labelled(explains)
    }));
    pictures
}

/// What each model answered, and whether that is correct.
pub(crate) fn verdicts(
    predictions: &ByModel<(usize, f64)>,
    label: usize,
    classes: &[String],
    names: &Names,
) -> Vec<Verdict> {
    let verdict = |(name, (class, probability)): (ModelName, &(usize, f64))| {
        let correct = *class == label;
        let says = format!("{} {}: ", names.bare(name), if correct { "correct" } else { "wrong" });
        let text = Text::from(says)
            .strong(class_name(classes, *class))
            .plain(format!(", {}", percent(*probability)));
        Verdict { correct, text }
    };
    predictions.iter().map(verdict).collect()
}

/// Methods of heatmaps, each with those of `models` that it explains, in their order.
pub(crate) fn methods(models: &[ModelName], names: &Names) -> Vec<(&'static str, Vec<ModelName>)> {
    let mut methods: Vec<(&str, Vec<ModelName>)> = Vec::new();
    for &model in models {
        let method = names.explained_by(model);
        match methods.iter_mut().find(|(known, _)| *known == method) {
            Some((_, models)) => models.push(model),
            None => methods.push((method, vec![model])),
        }
    }
    methods
}

/// What the heatmaps are, models of one method together: `the rollout of the ViT, which belongs to no class`, `the Grad-CAM of the
/// ResNet for the class that it named`.
pub(crate) fn looked_at(names: &Names) -> Vec<String> {
    let described = methods(&names.models(), names).into_iter().map(|(method, models)| {
        let whose: Vec<String> = models.iter().map(|model| names.the(*model)).collect();
        let class = match (names.explains_answer(models[0]), models.len()) {
            (false, _) => ", which belongs to no class",
            (true, 1) => " for the class that it named",
            (true, _) => " for the class that each named",
        };
        format!("the {method} of {}{class}", listed(&whose))
    });
    described.collect()
}

/// The images that exactly `erring` have wrong: `Only ViT wrong`, `Both wrong`, `All right`.
pub(crate) fn who_errs(erring: &[ModelName], names: &Names) -> String {
    let all = names.models().len();
    let outcome = if erring.is_empty() { "right" } else { "wrong" };
    if !erring.is_empty() && erring.len() < all {
        let whose: Vec<String> = erring.iter().map(|model| names.bare(*model).to_owned()).collect();
        return format!("Only {} wrong", listed(&whose));
    }
    match all {
        0 | 1 => capitalised(outcome),
        2 => format!("Both {outcome}"),
        _ => format!("All {outcome}"),
    }
}

/// Grids of heatmaps, as [`cells`] says them.
pub(crate) fn cells_of(images: &[ExplainedImage], names: &Names) -> String {
    cells(images.iter().map(|image| &image.heatmaps), names)
}
