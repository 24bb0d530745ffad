//! Occlusion (Zeiler & Fergus, 2014): how far the class's logit falls when a window of the image is covered.

use super::{Attribution, Capability, Cost, Evidence, Fill, Heatmap, Kind, MethodInfo, Resolution};
use crate::{AnalysisError, Paper};

/// The most windows along a side, unless windows and steps are given.
const WINDOWS_ALONG_A_SIDE: usize = 16;

/// The class's logit of the image minus that with a window covered, at every pixel the mean over the windows that cover it
/// (section 4.2). Windows begin at multiples of the stride; the last of a row or a column is cut off at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occlusion {
    /// Side of the window and step between windows, in pixels; `None` covers a transformer's patches one by one (several at once,
    /// where there are more than 16 along a side), and of a residual network windows of an eighth of the image in steps of half a
    /// window.
    pub window: Option<[usize; 2]>,
    /// What covers.
    pub fill: Fill,
}

impl Occlusion {
    /// The usual window, filled with the mean of each channel.
    pub const USUAL: Self = Self { window: None, fill: Fill::Mean };

    /// Side and stride.
    fn window(&self, evidence: &Evidence) -> [usize; 2] {
        let [_, _, height, width] = evidence.images().dims();
        let side = height.max(width);
        let [window, stride] =
            self.window.unwrap_or_else(|| match evidence.model().card().network.patch_size() {
                Some(patch) => [patch * (side / patch).div_ceil(WINDOWS_ALONG_A_SIDE); 2],
                None => {
                    let window = (2 * side / WINDOWS_ALONG_A_SIDE).max(2);
                    [window, window / 2]
                }
            });
        assert!(
            0 < stride && stride <= window,
            "windows of {window} px in steps of {stride} px leave pixels out"
        );
        [window, stride]
    }
}

static OCCLUSION: MethodInfo = MethodInfo {
    id: "occlusion",
    title: "occlusion",
    summary: "fall of the class's logit when a window of the image is covered",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Zeiler and Fergus, 2014", url: "https://arxiv.org/abs/1311.2901" }),
    needs: &[Capability::Classes],
    depends_on_class: true,
    signed: true,
    resolution: Resolution::Pixels,
    cost: Cost::Hundreds,
};

impl Attribution for Occlusion {
    fn info(&self) -> &'static MethodInfo {
        &OCCLUSION
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        let [_, _, height, width] = evidence.images().dims();
        let [window, stride] = self.window(evidence);
        let starts = |side: usize| {
            let count = side.saturating_sub(window).div_ceil(stride) + 1;
            (0..count).map(move |index| index * stride)
        };
        let places: Vec<[usize; 2]> =
            starts(height).flat_map(|top| starts(width).map(move |left| [top, left])).collect();
        let covered = |[top, left]: [usize; 2]| {
            let columns = left..(left + window).min(width);
            (top..(top + window).min(height))
                .flat_map(move |row| columns.clone().map(move |column| row * width + column))
        };
        // Where nothing is covered, the image itself: one variant more.
        let answers = evidence.logits_of_variants(places.len() + 1, |_, variant, pixels| {
            let Some(&place) = places.get(variant) else { return };
            let colour = self.fill.colour(pixels);
            for (plane, value) in pixels.chunks_exact_mut(height * width).zip(colour) {
                covered(place).for_each(|pixel| plane[pixel] = value);
            }
        });
        let of_image = |(answers, &class): (&Vec<Vec<f32>>, &usize)| {
            let whole = f64::from(answers[places.len()][class]);
            let (mut sums, mut counts) = (vec![0f64; height * width], vec![0f64; height * width]);
            for (&place, answer) in places.iter().zip(answers) {
                let fall = whole - f64::from(answer[class]);
                for pixel in covered(place) {
                    sums[pixel] += fall;
                    counts[pixel] += 1.0;
                }
            }
            let means = sums.iter().zip(&counts).map(|(sum, count)| (sum / count) as f32);
            Heatmap::new(height, width, means.collect())
        };
        Ok(answers.iter().zip(targets).map(of_image).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MethodFixture, explained, with_evidence};

    #[test]
    fn windows_follow_the_patches() {
        let fixture = MethodFixture::load();
        let subjects = fixture.subjects();
        let window = |name: &str| {
            let subject = subjects.iter().find(|subject| subject.name == name).unwrap();
            with_evidence(&subject.model, subject.images.clone(), |evidence| {
                Occlusion::USUAL.window(evidence)
            })
        };
        assert_eq!((window("vit"), window("swin"), window("resnet")), ([8, 8], [4, 4], [4, 2]));
    }

    /// Values differ between patches and not within one.
    #[test]
    fn a_transformers_map_has_one_value_for_each_patch() {
        let fixture = MethodFixture::load();
        let subject = &fixture.subjects()[0];
        let map =
            explained(&Occlusion::USUAL, &subject.model, subject.images.clone(), Some(&subject.targets))
                .remove(0);
        let at = |row: usize, column: usize| map.values[row * 32 + column];
        for (row, column) in (0..32).flat_map(|row| (0..32).map(move |column| (row, column))) {
            assert_eq!(at(row, column), at(row / 8 * 8, column / 8 * 8));
        }
        assert!(at(0, 0) != at(0, 8) && at(0, 0) != at(8, 0));
    }
}
