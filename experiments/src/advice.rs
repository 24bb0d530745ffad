//! Which model to choose where one thing decides, as far as tests on the same images show it.

use crate::subjects::ModelName;

/// A recommendation: what decides, whom to choose, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// What decides, as the end of a sentence that begins with “where”: `right answers on images like these count`.
    pub decides: String,
    /// Whom to choose.
    pub choice: Choice,
    /// The numbers that it rests on, in sentences.
    pub evidence: String,
}

/// Whom to choose.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// A model that is shown to be ahead of every other.
    Model(ModelName),
    /// None is shown to be ahead of every other.
    NotShown,
    /// An explanation that is shown to be better than what knows nothing, or none.
    Explanation(Option<String>),
}

impl Choice {
    /// The model that `ahead` shows before every other one; `ahead` gives the models of a pair, the better first, where a test and its
    /// interval tell them apart.
    pub fn first(models: &[ModelName], ahead: impl IntoIterator<Item = Option<[ModelName; 2]>>) -> Self {
        let ahead: Vec<[ModelName; 2]> = ahead.into_iter().flatten().collect();
        let beats_all = |model: &&ModelName| {
            let others = models.iter().filter(|other| other != model);
            others.clone().count() > 0 && others.into_iter().all(|other| ahead.contains(&[**model, *other]))
        };
        models.iter().find(beats_all).map_or(Self::NotShown, |model| Self::Model(*model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_chosen_only_where_it_is_ahead_of_every_other() {
        let [a, b, c] = ["a", "b", "c"].map(ModelName::new);
        assert_eq!(Choice::first(&[a, b], [Some([b, a])]), Choice::Model(b));
        assert_eq!(Choice::first(&[a, b], [None]), Choice::NotShown);
        assert_eq!(Choice::first(&[a, b, c], [Some([a, b]), Some([a, c]), None]), Choice::Model(a));
        assert_eq!(Choice::first(&[a, b, c], [Some([a, b]), None, Some([b, c])]), Choice::NotShown);
        assert_eq!(Choice::first(&[a], []), Choice::NotShown);
    }
}
