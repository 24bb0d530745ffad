//! The gallery of explained images.

use archaeo_analysis::statistics::Measured;
use archaeo_report::document::{Block, Gallery, GalleryItem, Text};
use archaeo_report::numbers::{Unit, counted};

use super::claims::FEW_PAIRS;
use super::findings::{Comparison, ComparisonFindings, HeatmapAgreement};
use crate::findings::ImageShown;
use crate::report::Names;
use crate::report::names::{class_name, listed};
use crate::report::shown::{cells, heat_legend, looked_at, methods, pictures, title, verdicts, who_errs};
use crate::subjects::ModelName;

pub(super) fn gallery(findings: &ComparisonFindings, classes: &[String], names: &Names) -> Block {
    let groups = groups(findings, names);
    let item = |item: &Comparison| {
        let erring = erring(item);
        let group = groups.iter().position(|group| *group == erring).unwrap_or(0);
        gallery_item(item, group, &findings.pairs, classes, names)
    };
    let heatmaps = looked_at(names);
    let shows = match &heatmaps[..] {
        [] => "the image".into(),
        [only] => format!("the image and {only}"),
        several => format!("the image, {}", several.join(", and ")),
    };
    let which = match findings.pairs.len() {
        0 => None,
        1 => Some("the two heatmaps"),
        _ => Some("two heatmaps"),
    };
    let agreement = which.map_or_else(String::new, |which| {
        format!(
            " Agreement is the rank correlation of {which} over the patches: 1 the same order, 0 no relation, −1 the reverse."
        )
    });
    // What is selected are images, so that their number need not be said twice.
    let comparisons =
        which.map_or_else(String::new, |_| format!("{}: ", counted(findings.items.len(), "comparison")));
    Block::Gallery(Gallery {
        caption: format!(
            "{comparisons}{}. Each shows {shows}.{}{agreement}",
            findings.selection.trim_end_matches('.'),
            cells(findings.items.iter().map(|item| &item.heatmaps), names)
        )
        .into(),
        legend: Some(heat_legend("Heatmaps")),
        groups: groups.iter().map(|erring| who_errs(erring, names)).collect(),
        items: findings.items.iter().map(item).collect(),
    })
}

/// The models that have an image wrong, in their order.
fn erring(item: &Comparison) -> Vec<ModelName> {
    let wrong = item.predictions.iter().filter(|(_, (class, _))| *class != item.label);
    wrong.map(|(model, _)| model).collect()
}

/// Which models may err: none, each alone, all, and whichever others do; the fewest first.
fn groups(findings: &ComparisonFindings, names: &Names) -> Vec<Vec<ModelName>> {
    let models = names.models();
    let mut groups: Vec<Vec<ModelName>> = vec![Vec::new()];
    groups.extend(models.iter().map(|model| vec![*model]));
    groups.push(models.clone());
    groups.extend(findings.items.iter().map(erring));
    let place = |model: &ModelName| models.iter().position(|known| known == model);
    groups.sort_by_key(|group| (group.len(), group.iter().map(place).collect::<Vec<_>>()));
    groups.dedup();
    groups
}

fn gallery_item(
    item: &Comparison,
    group: usize,
    pairs: &[HeatmapAgreement],
    classes: &[String],
    names: &Names,
) -> GalleryItem {
    let lines = explained(item, classes, names).into_iter().chain(agreement(item, pairs, names));
    let image = ImageShown {
        index: item.index,
        identifier: item.identifier.clone(),
        label: item.label,
        picture: item.picture.clone(),
    };
    GalleryItem {
        pictures: pictures(&image, &item.heatmaps, classes, names),
        group,
        title: title(classes, item.label, item.index, &item.identifier),
        verdicts: verdicts(&item.predictions, item.label, classes, names),
        lines: lines.map(Text::from).collect(),
    }
}

/// Which class each heatmap explains, where the models name different ones and it makes a difference.
fn explained(item: &Comparison, classes: &[String], names: &Names) -> Option<String> {
    let class_of = |model: ModelName| item.explains.get(model).copied().flatten();
    let different = |class: usize| item.predictions.values().any(|(named, _)| *named != class);
    if !item.explains.values().flatten().any(|class| different(*class)) {
        return None;
    }
    let (of_class, of_none): (Vec<_>, Vec<_>) = methods(&item.explains.names().collect::<Vec<_>>(), names)
        .into_iter()
        .partition(|(_, models)| models.iter().any(|model| class_of(*model).is_some()));
    let mut parts = Vec::new();
    for (method, models) in of_class {
        let classes = models.iter().filter_map(|&model| Some((model, class_name(classes, class_of(model)?))));
        let each: Vec<String> = match models.len() {
            1 => classes.map(|(_, class)| class).collect(),
            _ => classes.map(|(model, class)| format!("{class} for {}", names.the(model))).collect(),
        };
        parts.push(format!("{method} explains {}", listed(&each)));
    }
    parts.extend(of_none.into_iter().map(|(method, _)| format!("{method} no class in particular")));
    Some(format!("The models name different classes; {}", parts.join(", ")))
}

/// How well every two heatmaps of an image agree; of many, the pairs that agree most and least.
fn agreement(item: &Comparison, pairs: &[HeatmapAgreement], names: &Names) -> Option<String> {
    if let [agreement] = &item.agreements[..] {
        return Some(match agreement {
            Measured::Known(agreement) => format!("Agreement {}", Unit::Coefficient.value(*agreement)),
            Measured::Undefined { undefined } => {
                format!("Agreement cannot be computed, because {undefined}")
            }
        });
    }
    let value = |pair: &HeatmapAgreement, agreement: f64| {
        let [first, second] = pair.models.map(|model| names.bare(model));
        format!("{first} and {second} {}", Unit::Coefficient.value(agreement))
    };
    let found = || pairs.iter().zip(&item.agreements);
    if pairs.len() <= FEW_PAIRS {
        let each = found().map(|(pair, agreement)| match agreement {
            Measured::Known(agreement) => value(pair, *agreement),
            Measured::Undefined { undefined } => {
                let [first, second] = pair.models.map(|model| names.bare(model));
                format!("{first} and {second} none, because {undefined}")
            }
        });
        let each: Vec<String> = each.collect();
        return (!each.is_empty()).then(|| format!("Agreement: {}", each.join("; ")));
    }
    let known = || found().filter_map(|(pair, agreement)| Some((pair, *agreement.known()?)));
    let least = known().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let most = known().max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(format!("Agreement: most {}; least {}", value(most.0, most.1), value(least.0, least.1)))
}
