//! Contrastivity: whether a heatmap for another class is another heatmap.

use super::{Asked, Metric, MetricInfo, Score};
use crate::attribution::{Attribution, Capability, Heatmap, explain_all, rank_correlation};
use crate::statistics::CORRELATION;
use crate::{AnalysisError, Paper};

/// Spearman correlation of the heatmap for the explained class with that for the class of the largest other logit (Sixt et al., 2020,
/// ask it of a random class; here the rival is the one that the answer was chosen over). 1 for methods that do not use the class.
#[derive(Clone, Copy, Debug)]
pub struct Contrastivity;

static CONTRASTIVITY: MetricInfo = MetricInfo {
    id: "contrastivity",
    title: "contrastivity",
    summary: "rank correlation of the heatmap with that for the runner-up class",
    higher_is_better: false,
    range: CORRELATION,
    judged: false,
    needs_mask: false,
    needs: &[Capability::Classes],
    passes: 2,
    curve: &[],
    paper: Paper { citation: "Sixt et al., 2020", url: "https://arxiv.org/abs/1912.09818" },
};

impl Metric for Contrastivity {
    fn info(&self) -> &'static MetricInfo {
        &CONTRASTIVITY
    }

    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError> {
        let Asked { evidence, targets, methods, heatmaps, .. } = *asked;
        let classes = evidence.model().card().classes.len();
        if classes < 2 {
            return Ok(heatmaps.iter().map(|images| vec![Score::default(); images.len()]).collect());
        }
        let rivals: Vec<usize> = evidence
            .logits()
            .chunks_exact(classes)
            .zip(targets)
            .map(|(row, &class)| rival(row, class))
            .collect();
        let asking: Vec<&dyn Attribution> =
            methods.iter().copied().filter(|method| method.info().depends_on_class).collect();
        let mut others = explain_all(&asking, evidence, &rivals)?.into_iter();
        let of_method = |(method, maps): (&&dyn Attribution, &Vec<Heatmap>)| -> Vec<Score> {
            let others = method.info().depends_on_class.then(|| others.next().expect("it was asked"));
            let others = others.as_ref().unwrap_or(maps);
            maps.iter().zip(others).map(|(map, other)| Score::of(rank_correlation(map, other))).collect()
        };
        Ok(methods.iter().zip(heatmaps).map(of_method).collect())
    }
}

/// The class of the largest logit but one's own.
fn rival(logits: &[f32], class: usize) -> usize {
    let others = (0..logits.len()).filter(|other| *other != class);
    others
        .reduce(|best, other| if logits[other] > logits[best] { other } else { best })
        .expect("there are two classes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{Edges, InputXGradient, Rollout, Saliency};
    use crate::testing::{MethodFixture, with_evidence};

    #[test]
    fn the_rival_is_the_largest_other_logit() {
        assert_eq!(rival(&[0.1, 0.9, 0.5], 1), 2);
        assert_eq!(rival(&[0.1, 0.9, 0.5], 0), 1);
        assert_eq!(rival(&[0.5, 0.5, 0.5], 0), 1);
    }

    #[test]
    fn heatmaps_of_no_class_are_the_same_for_every_class() {
        let fixture = MethodFixture::load();
        let subject = &fixture.subjects()[0];
        with_evidence(&subject.model, subject.images.clone(), |evidence| {
            let methods: [&'static dyn Attribution; 4] =
                [&Rollout::USUAL, &InputXGradient, &Edges, &Saliency];
            let heatmaps = explain_all(&methods, evidence, &subject.targets).unwrap();
            let asked = Asked {
                evidence,
                targets: &subject.targets,
                methods: &methods,
                heatmaps: &heatmaps,
                masks: &[],
            };
            let found = Contrastivity.measure(&asked).unwrap();
            let value = |method: usize, image: usize| found[method][image].value.unwrap();
            for image in 0..2 {
                assert!(value(0, image) > 1.0 - 1e-9 && value(2, image) > 1.0 - 1e-9);
                assert!(value(1, image) < 0.99 && value(3, image) < 0.99);
            }
        });
    }
}
