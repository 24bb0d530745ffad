//! What models cost, which is counted and needs no test.

use serde::{Deserialize, Serialize};

use super::ModelFindings;
use crate::subjects::{ByModel, ModelName};

/// Ratio of multiply-adds from which on one model is called cheaper than another.
const CHEAPER: f64 = 1.25;

/// What several models cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostFindings {
    /// Multiply-adds per image, of the size that each model takes.
    pub multiply_adds: ByModel<u64>,
    /// The model that takes the fewest, where every other one takes at least a quarter more.
    pub cheapest: Option<ModelName>,
}

impl CostFindings {
    /// The cost of these models; `None` where there is nothing to compare.
    pub fn of(models: &[ModelFindings]) -> Option<Self> {
        if models.len() < 2 {
            return None;
        }
        let mut multiply_adds = ByModel::default();
        for ModelFindings { name, card, .. } in models {
            multiply_adds.insert(*name, card.network.multiply_adds(card.preprocessing.image_size));
        }
        let cheapest = cheapest(&multiply_adds);
        Some(Self { multiply_adds, cheapest })
    }
}

fn cheapest(multiply_adds: &ByModel<u64>) -> Option<ModelName> {
    let (cheapest, fewest) = multiply_adds.iter().min_by_key(|(_, multiply_adds)| **multiply_adds)?;
    let mut others = multiply_adds.iter().filter(|(name, _)| *name != cheapest);
    others.all(|(_, more)| *more as f64 >= CHEAPER * *fewest as f64).then_some(cheapest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_the_cheapest_where_every_other_takes_a_quarter_more() {
        let [a, b, c] = ["a", "b", "c"].map(ModelName::new);
        let found = |costs: &[(ModelName, u64)]| {
            let mut multiply_adds = ByModel::default();
            costs.iter().for_each(|(name, cost)| multiply_adds.insert(*name, *cost));
            cheapest(&multiply_adds)
        };
        assert_eq!(found(&[(a, 125), (b, 100), (c, 900)]), Some(b));
        assert_eq!(found(&[(a, 124), (b, 100), (c, 900)]), None);
        assert_eq!(found(&[(a, 100), (b, 100)]), None);
    }
}
