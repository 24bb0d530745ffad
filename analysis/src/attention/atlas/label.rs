//! What a head does: the first label whose condition both halves of the images satisfy.

use serde::{Deserialize, Serialize};

use super::{HeadCriteria, HeadOnImage, Measure, class};

/// What a head does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadLabel {
    /// Weights are nearly all alike.
    Uniform,
    /// Most weight goes to prefix tokens.
    Sink,
    /// Weights follow the relative offset.
    Positional,
    /// What is read lies on the object.
    Object,
    /// Patches with edges receive more.
    Edge,
    /// Patches of one colour attend to one another.
    Colour,
    /// Where it looks tells the class.
    ClassSelective,
    /// It looks near by.
    Local,
    /// It looks as far as even attention, or farther.
    Global,
    /// None of these in both halves.
    Unexplained,
}

impl HeadLabel {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 10] = [
        Self::Uniform,
        Self::Sink,
        Self::Positional,
        Self::Object,
        Self::Edge,
        Self::Colour,
        Self::ClassSelective,
        Self::Local,
        Self::Global,
        Self::Unexplained,
    ];

    /// What such a head does, as the end of a sentence about its weights.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Uniform => "are nearly the same for all tokens",
            Self::Sink => "go mostly to tokens without a place, such as the class token",
            Self::Positional => "follow the offset between two patches",
            Self::Object => "lie on the object",
            Self::Edge => "lie on patches with edges",
            Self::Colour => "go to patches of the same colour",
            Self::ClassSelective => "go to a place that depends on the class",
            Self::Local => "go to patches near by",
            Self::Global => "go as far as even attention, or farther",
            Self::Unexplained => "follow none of these in both halves",
        }
    }

    /// In a word or two.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Sink => "sink",
            Self::Positional => "positional",
            Self::Object => "object",
            Self::Edge => "edge",
            Self::Colour => "colour",
            Self::ClassSelective => "class-selective",
            Self::Local => "local",
            Self::Global => "global",
            Self::Unexplained => "unexplained",
        }
    }
}

/// One half of the images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadHalf {
    /// Means over the half's images.
    pub criteria: HeadCriteria,
    /// Mutual information in nats of the ninth of the image that is read most and the class; the null has the classes permuted.
    pub class: Measure,
}

impl HeadHalf {
    /// Of one head on some images and their classes.
    pub fn of(images: &[&HeadOnImage], classes: &[usize], seed: u64) -> Self {
        let mean = |of: fn(&HeadCriteria) -> Measure| {
            let over = |part: fn(&Measure) -> Option<f64>| {
                let values: Vec<f64> = images.iter().filter_map(|image| part(&of(&image.criteria))).collect();
                (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
            };
            Measure { value: over(|measure| measure.value), null: over(|measure| measure.null) }
        };
        let criteria = HeadCriteria {
            positional: mean(|c| c.positional),
            distance: mean(|c| c.distance),
            sink: mean(|c| c.sink),
            edge: mean(|c| c.edge),
            orientation: mean(|c| c.orientation),
            colour: mean(|c| c.colour),
            object: mean(|c| c.object),
            entropy: mean(|c| c.entropy),
        };
        let ninths: Vec<usize> = images.iter().map(|image| image.ninth).collect();
        Self { criteria, class: class::measure(&ninths, classes, seed) }
    }

    fn satisfies(&self, label: HeadLabel) -> bool {
        let HeadCriteria { positional, distance, sink, edge, colour, object, entropy, .. } = self.criteria;
        let beyond = |measure: Measure, least: f64, times: f64| match (measure.value, measure.null) {
            (Some(value), Some(null)) => value >= least && value >= times * null.abs(),
            _ => false,
        };
        let far = distance.value;
        match label {
            HeadLabel::Uniform => entropy.value.is_some_and(|entropy| entropy >= 0.97),
            HeadLabel::Sink => beyond(sink, 0.5, 2.0),
            HeadLabel::Positional => beyond(positional, 0.3, 2.0),
            HeadLabel::Object => beyond(object, 0.0, 1.5),
            HeadLabel::Edge => beyond(edge, 0.3, 2.0),
            HeadLabel::Colour => beyond(colour, 0.2, 2.0),
            HeadLabel::ClassSelective => beyond(self.class, 0.1, 2.0),
            HeadLabel::Local => far.is_some_and(|far| far <= 0.5),
            HeadLabel::Global => far.is_some_and(|far| far >= 1.0),
            HeadLabel::Unexplained => true,
        }
    }
}

/// The first label, in the order of [`HeadLabel`], whose condition both halves satisfy.
pub fn label(halves: &[HeadHalf; 2]) -> HeadLabel {
    let holds = |label: &HeadLabel| halves.iter().all(|half| half.satisfies(*label));
    HeadLabel::ALL.into_iter().find(holds).expect("the last has no condition")
}
