//! How small a change of the pixels fools each model?

use archaeo_analysis::attacks::{Attack, attack};
use archaeo_analysis::predict::{logits, predicted_classes};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, wilson};
use archaeo_plot::{Cell, Picture, SheetLayout, contact_sheet};
use burn::tensor::Tensor;

use super::pictures::panel;
use super::{Laboratory, ROLES, StudyError};
use crate::data::Image;
use crate::findings::{AttackCurve, AttackFindings, AttackPoint, Role};

/// Images on the picture of adversarial examples.
const EXAMPLES_SHOWN: usize = 6;
/// Clean, perturbation, adversarial.
const PANELS_PER_EXAMPLE: usize = 3;
/// How much a perturbation is enlarged to be seen.
const PERTURBATION_GAIN: f32 = 10.0;

/// Accuracy of both models against FGSM and PGD of growing size, on a sample of the main split.
///
/// # Errors
/// Data that cannot be read.
pub fn attacks(lab: &Laboratory) -> Result<AttackFindings, StudyError> {
    let indices = lab.sample_to_show("attacks", lab.sizes.attack_images, EXAMPLES_SHOWN)?;
    let shown_epsilon = lab.sizes.epsilons.iter().copied().find(|&epsilon| epsilon >= 4.0);
    let (mut curves, mut examples) = (Vec::new(), Vec::new());
    for role in ROLES {
        let model = lab.model(role);
        let name = &model.card().name;
        let clean = right(lab, &format!("{name} unattacked"), &indices, role, None)?;
        let families: [fn(f64, usize) -> Attack; 2] = [|epsilon, _| Attack::fgsm(epsilon), Attack::pgd];
        for family in families {
            let mut points =
                vec![AttackPoint { epsilon: 0.0, accuracy: wilson(clean, indices.len(), DEFAULT_LEVEL)? }];
            let mut named = (String::new(), String::new());
            for &epsilon in &lab.sizes.epsilons {
                let attack = family(epsilon / 255.0, lab.sizes.pgd_steps);
                named = (attack.name().into(), attack.describe());
                let what = format!("{name} under {} {epsilon}/255", attack.name());
                let right = right(lab, &what, &indices, role, Some(&attack))?;
                points.push(AttackPoint { epsilon, accuracy: wilson(right, indices.len(), DEFAULT_LEVEL)? });
            }
            curves.push(AttackCurve { role, attack: named.0, settings: named.1, points });
        }
        if let Some(epsilon) = shown_epsilon {
            let attack = Attack::pgd(epsilon / 255.0, lab.sizes.pgd_steps);
            examples.extend(example_cells(lab, &indices, role, &attack)?);
        }
    }
    let layout = SheetLayout { columns: 2 * PANELS_PER_EXAMPLE, ..SheetLayout::default() };
    let examples = if examples.is_empty() { vec![blank_cell()?] } else { interleaved(&examples) };
    let picture = contact_sheet(&examples, &layout)?;
    Ok(AttackFindings { n: indices.len(), curves, examples: lab.save("attack-examples", &picture)? })
}

/// How many images the model has right, under an attack if one is given.
fn right(
    lab: &Laboratory,
    what: &str,
    indices: &[usize],
    role: Role,
    with: Option<&Attack>,
) -> Result<usize, StudyError> {
    let model = lab.model(role);
    let classes = model.card().classes.len();
    let mut right = 0;
    lab.for_each_batch(what, indices, model, |batch, samples, images| {
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let ids: Vec<u64> = batch.iter().map(|&i| i as u64).collect();
        let images = match with {
            Some(with) => attack(model, images, &labels, &ids, with, lab.seed),
            None => images,
        };
        let answers = predicted_classes(&logits(model, images), classes);
        right += answers.iter().zip(&labels).filter(|(answer, label)| answer == label).count();
        Ok(())
    })?;
    Ok(right)
}

/// Clean image, enlarged perturbation and adversarial image, for the first few images.
fn example_cells(
    lab: &Laboratory,
    indices: &[usize],
    role: Role,
    with: &Attack,
) -> Result<Vec<Cell>, StudyError> {
    let model = lab.model(role);
    let classes = &model.card().classes;
    let first = &indices[..indices.len().min(EXAMPLES_SHOWN)];
    let mut cells = Vec::new();
    lab.for_each_batch("adversarial examples", first, model, |batch, samples, clean| {
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let ids: Vec<u64> = batch.iter().map(|&i| i as u64).collect();
        let adversarial = attack(model, clean.clone(), &labels, &ids, with, lab.seed);
        let answers = [&clean, &adversarial]
            .map(|images| predicted_classes(&logits(model, images.clone()), classes.len()));
        let difference = (adversarial.clone() - clean.clone()) * PERTURBATION_GAIN + 0.5;
        let pictures = [clean, difference, adversarial].map(|images| to_images(&images));
        for i in 0..batch.len() {
            let [before, after] = [0, 1].map(|when| classes[answers[when][i]].as_str());
            let captions = [
                format!("{}\nsays {before}", model.card().name),
                format!("the change,\ntimes {PERTURBATION_GAIN}"),
                format!("attacked:\nsays {after}"),
            ];
            for (images, caption) in pictures.iter().zip(captions) {
                cells.push(Cell { picture: panel(&images[i])?, caption });
            }
        }
        Ok(())
    })?;
    Ok(cells)
}

/// Both models' examples of the same image side by side: the first half is one model's, the second the other's.
fn interleaved(cells: &[Cell]) -> Vec<Cell> {
    let (first, second) = cells.split_at(cells.len() / 2);
    let pairs = first.chunks(PANELS_PER_EXAMPLE).zip(second.chunks(PANELS_PER_EXAMPLE));
    pairs.flat_map(|(first, second)| [first, second].concat()).collect()
}

fn blank_cell() -> Result<Cell, StudyError> {
    Ok(Cell {
        picture: Picture::filled(8, 8, [255; 3])?,
        caption: "no perturbation of 4/255 or more was asked for".into(),
    })
}

/// `[batch, 3, height, width]` in [0, 1] → images of 8 bits.
fn to_images(images: &Tensor<4>) -> Vec<Image> {
    let [_, _, height, width] = images.dims();
    let values = images.clone().into_data().try_into_vec::<f32>().expect("images are 32-bit floats");
    let plane = height * width;
    values
        .chunks_exact(3 * plane)
        .map(|image| {
            let pixels = (0..plane)
                .flat_map(|i| [0, 1, 2].map(|channel| image[channel * plane + i]))
                .map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8)
                .collect();
            Image { width, height, pixels }
        })
        .collect()
}
