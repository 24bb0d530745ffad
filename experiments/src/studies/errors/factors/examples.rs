//! Errors by what sets them apart, and labels that are doubted, with pictures.

use std::collections::BTreeMap;

use archaeo_analysis::answers::Suspicion;

use super::super::findings::{
    DoubtedLabel, DoubtedLabels, ErrorKind, ErrorKinds, FactorEffect, FactorExample, FactorFinding,
};
use super::Factor;
use super::conclude::{Images, OfModel};
use crate::scene::{Scene, StudyError};
use crate::subjects::ByModel;

/// Errors shown of each kind.
const SHOWN: usize = 4;

/// Doubted labels shown.
const DOUBTED: usize = 8;

/// Share of the right answers of its class that the value of an error of a kind lies beyond.
const OUTER: f64 = 0.75;

/// Errors of each model by the factors of their images that set them apart. What is read from the model itself makes no kind, and neither
/// does a value that most images share.
///
/// # Errors
/// Data that cannot be read.
pub(super) fn kinds(
    scene: &Scene,
    images: &Images,
    factors: &[FactorFinding],
    values: &[(Factor, ByModel<Vec<Option<f64>>>)],
) -> Result<ByModel<ErrorKinds>, StudyError> {
    let mut found = ByModel::default();
    for (name, model) in images.models.iter() {
        let mut kinds = Vec::new();
        let mut of_no_kind: Vec<bool> = model.errors.clone();
        for finding in factors.iter().filter(|finding| !finding.factor.is_of_model()) {
            let effect = finding.models.get(name).and_then(|effect| effect.known());
            let Some(larger) = effect.and_then(FactorEffect::larger) else { continue };
            let of_factor = values.iter().find(|(factor, _)| *factor == finding.factor);
            let (_, values) = of_factor.expect("a finding has its values");
            let sign = if larger { 1.0 } else { -1.0 };
            let signed: Vec<Option<f64>> =
                values[name].iter().map(|value| value.map(|value| sign * value)).collect();
            let Outer { mut errors, expected } = outer(&signed, &model.errors, &images.classes);
            if errors.is_empty() {
                continue;
            }
            errors.iter().for_each(|&image| of_no_kind[image] = false);
            errors.sort_by(|&a, &b| {
                let value = |image: usize| signed[image].unwrap_or(f64::NEG_INFINITY);
                value(b).total_cmp(&value(a)).then(images.indices[a].cmp(&images.indices[b]))
            });
            let shown = &errors[..errors.len().min(SHOWN)];
            let title = serde_json::to_value(finding.factor).expect("a factor has a name");
            let title = format!("errors-{}-{name}", title.as_str().unwrap_or_default());
            let examples = shown.iter().enumerate().map(|(place, &image)| {
                let index = images.indices[image];
                let seen = &scene.images_for(scene.model(name), &[index])?[0];
                Ok::<_, StudyError>(FactorExample {
                    image: scene.save_image(&format!("{title}-{:02}", place + 1), index, seen)?,
                    answer: model.answers[image],
                    value: sign * signed[image].expect("an outer image has a value"),
                })
            });
            let examples = examples.collect::<Result<_, _>>()?;
            kinds.push(ErrorKind { factor: finding.factor, larger, count: errors.len(), expected, examples });
        }
        if !kinds.is_empty() {
            let count = |which: &[bool]| which.iter().filter(|is| **is).count();
            let (errors, of_no_kind) = (count(&model.errors), count(&of_no_kind));
            found.insert(name, ErrorKinds { errors, of_no_kind, kinds });
        }
    }
    Ok(found)
}

/// Errors in the outer quarter of their class.
struct Outer {
    errors: Vec<usize>,
    expected: f64,
}

/// Of images with these values, those whose value lies beyond most of the right answers of their class.
fn outer(values: &[Option<f64>], errors: &[bool], classes: &[usize]) -> Outer {
    // Right answers and errors of each class that have a value.
    let mut of_class: BTreeMap<usize, [Vec<usize>; 2]> = BTreeMap::new();
    for image in (0..values.len()).filter(|&image| values[image].is_some()) {
        of_class.entry(classes[image]).or_default()[usize::from(errors[image])].push(image);
    }
    let value = |image: usize| values[image].expect("it has one");
    let (mut found, mut expected, mut weight) = (Vec::new(), 0.0, 0.0);
    for [right, wrong] in of_class.into_values().filter(|[right, _]| !right.is_empty()) {
        let is_outer = |&image: &usize| {
            let share = right.iter().map(|&other| match value(other).total_cmp(&value(image)) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 0.0,
            });
            share.sum::<f64>() / right.len() as f64 >= OUTER
        };
        let outer_right = right.iter().filter(|image| is_outer(image)).count();
        expected += wrong.len() as f64 * outer_right as f64 / right.len() as f64;
        weight += wrong.len() as f64;
        found.extend(wrong.iter().copied().filter(|image| is_outer(image)));
    }
    Outer { errors: found, expected: if weight > 0.0 { expected / weight } else { 0.0 } }
}

/// The labels that all models together doubt most.
///
/// # Errors
/// Data that cannot be read.
pub(super) fn doubted(
    scene: &Scene,
    images: &Images,
    suspicions: &[Suspicion],
) -> Result<DoubtedLabels, StudyError> {
    let models: Vec<&OfModel> = images.models.values().collect();
    let mut examples = Vec::new();
    for (place, suspicion) in suspicions.iter().take(DOUBTED).enumerate() {
        let index = images.indices[suspicion.image];
        let mean = |class: usize| {
            models.iter().map(|model| model.probabilities[suspicion.image][class]).sum::<f64>()
                / models.len() as f64
        };
        let seen = &scene.images_for(scene.subjects[0].model, &[index])?[0];
        examples.push(DoubtedLabel {
            image: scene.save_image(&format!("errors-label-{:02}", place + 1), index, seen)?,
            class: suspicion.class,
            of_label: mean(images.classes[suspicion.image]),
            of_class: mean(suspicion.class),
        });
    }
    let right_by_construction = scene.split()?.sherds().is_some();
    Ok(DoubtedLabels { count: suspicions.len(), right_by_construction, examples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_quarter_is_that_of_the_right_answers_of_a_class() {
        // Class 0: right answers 1 to 8, errors 6, 7 and 9. Class 1 has no right answer, class 2 no error.
        let values = [1., 2., 3., 4., 5., 6., 7., 8., 6., 7., 9., 100., 50., 60.].map(Some);
        let errors: Vec<bool> = (0..14).map(|image| (8..12).contains(&image)).collect();
        let classes: Vec<usize> =
            (0..14).map(|image| [0, 1, 2][usize::from(image >= 11) + usize::from(image >= 12)]).collect();
        let Outer { errors: found, expected } = outer(&values, &errors, &classes);
        // 6 lies beyond 5 and a half of 8; 7 beyond 6 and a half, 9 beyond all.
        assert_eq!(found, [9, 10]);
        assert_eq!(expected, 0.25);
        // A value that most share is no outer one.
        let ties = [1.0, 1.0, 1.0, 0.0, 1.0].map(Some);
        assert!(outer(&ties, &[false, false, false, false, true], &[0; 5]).errors.is_empty());
        let rare = [0.0, 0.0, 0.0, 1.0, 1.0].map(Some);
        assert_eq!(outer(&rare, &[false, false, false, false, true], &[0; 5]).errors, [4]);
        let unknown = [Some(0.0), None, None];
        assert!(outer(&unknown, &[false, true, true], &[0; 3]).errors.is_empty());
    }
}
