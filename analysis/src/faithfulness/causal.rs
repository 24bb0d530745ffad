//! Whether a heatmap tells what a model's answer depends on, where that was measured by taking things away.
//!
//! An image is divided between factors: things that can be removed from it one at a time. The change of the margin, the logit of
//! the class less that of the runner-up, when a factor alone is removed is the model's own truth: a heatmap is not blamed where the
//! model looks at something that a person would not.
//!
//! A heatmap's statement about a factor is the share of its mass that lies on it ([`Heatmap::unit_mass`], the one scale of all
//! comparisons of masses); a heatmap without positive values says nothing, and counts as an even one.

use crate::attribution::Heatmap;
use crate::faithfulness::mass_in_mask;
use crate::statistics::rank_coefficient;

/// A removal that changes the margin by less than this share of it changes nothing that matters (FunnyBirds, Hesse et al., 2023,
/// section 4.3, for the logit).
pub const NEGLIGIBLE: f64 = 0.05;

/// What a model's answer to one image depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct CausalTruth {
    /// Logit of the class less the runner-up's, nothing removed.
    pub margin: f64,
    /// How much of the margin is lost when each factor alone is removed: negative where it grows.
    pub effects: Vec<f64>,
}

impl CausalTruth {
    /// Spearman's correlation, over the factors, of mass and effect: FunnyBirds' single deletion. Zero for a heatmap that has the
    /// same mass on each; `None` where the effects do not differ.
    ///
    /// # Panics
    /// If there is not one mass for each factor.
    pub fn single_deletion(&self, masses: &[f64]) -> Option<f64> {
        self.correlation(masses)
    }

    /// Strength: Spearman's correlation, over the factors, of mass and size of the effect, whatever its sign: what speaks against the class
    /// counts as what speaks for it. Zero for a heatmap that has the same mass on each; `None` where the sizes do not differ.
    ///
    /// # Panics
    /// If there is not one mass for each factor.
    pub fn strength(&self, masses: &[f64]) -> Option<f64> {
        let effects = self.effects.iter().map(|effect| effect.abs()).collect();
        Self { effects, ..self.clone() }.correlation(masses)
    }

    /// Contrastivity: Spearman's correlation, over the factors, of effect and difference between the masses of the map for the class
    /// and of the map for the runner-up. What speaks for the one against the other moves the margin between them. Zero where both
    /// maps are the same; `None` where the effects do not differ.
    ///
    /// # Panics
    /// If there is not one mass for each factor.
    pub fn contrastivity(&self, of_class: &[f64], of_runner_up: &[f64]) -> Option<f64> {
        assert_eq!(of_class.len(), of_runner_up.len(), "two maps of one image have the same factors");
        let difference: Vec<f64> = of_class.iter().zip(of_runner_up).map(|(a, b)| a - b).collect();
        self.correlation(&difference)
    }

    /// Background independence: the share of the mass that is not on factors whose removal changes the margin by less than
    /// [`NEGLIGIBLE`] of it. `None` where every factor matters or the margin is zero.
    ///
    /// # Panics
    /// If there is not one mass for each factor.
    pub fn independence(&self, masses: &[f64]) -> Option<f64> {
        assert_eq!(masses.len(), self.effects.len(), "one mass for each factor is needed");
        let negligible = self.negligible();
        let distracted = masses.iter().zip(&negligible).filter(|(_, negligible)| **negligible);
        let mass: f64 = distracted.map(|(mass, _)| mass).sum();
        // Parts may share a pixel at their border, so that their masses add up to a little more than 1.
        (self.margin != 0.0 && negligible.contains(&true)).then_some((1.0 - mass).max(0.0))
    }

    /// Which factors change the margin by less than [`NEGLIGIBLE`] of it.
    pub fn negligible(&self) -> Vec<bool> {
        self.effects.iter().map(|effect| effect.abs() < NEGLIGIBLE * self.margin.abs()).collect()
    }

    fn correlation(&self, statement: &[f64]) -> Option<f64> {
        assert_eq!(statement.len(), self.effects.len(), "one mass for each factor is needed");
        let differ = self.effects.iter().any(|effect| *effect != self.effects[0]);
        differ.then(|| rank_coefficient(statement, &self.effects).unwrap_or(0.0))
    }
}

/// The share of a heatmap's mass on each factor.
///
/// # Panics
/// If heatmap and masks differ in size.
pub fn masses(heatmap: &Heatmap, masks: &[Vec<bool>]) -> Vec<f64> {
    masks.iter().map(|mask| mass_in_mask(heatmap, mask)).collect()
}

/// Which factors a heatmap calls important: those with more mass than an even heatmap would give them. No threshold is tuned.
/// An even heatmap calls none.
///
/// # Panics
/// If there is not one mask for each mass.
pub fn important(masses: &[f64], masks: &[Vec<bool>]) -> Vec<bool> {
    assert_eq!(masses.len(), masks.len(), "one mask for each mass is needed");
    let even = |mask: &Vec<bool>| mask.iter().filter(|&&inside| inside).count() as f64 / mask.len() as f64;
    // An even map's masses are its shares but for rounding.
    masses.iter().zip(masks).map(|(&mass, mask)| mass > even(mask) * (1.0 + 1e-9)).collect()
}

/// The heatmap that tells the truth: what the margin loses without a factor, divided evenly among its pixels. Pixels of no factor
/// have zero.
///
/// # Panics
/// If a mask has another size than `height · width`, or there is not one for each effect.
pub fn causal_map(truth: &CausalTruth, masks: &[Vec<bool>], [height, width]: [usize; 2]) -> Heatmap {
    assert_eq!(masks.len(), truth.effects.len(), "one mask for each effect is needed");
    let mut values = vec![0.0; height * width];
    for (mask, effect) in masks.iter().zip(&truth.effects) {
        let pixels = mask.iter().filter(|&&inside| inside).count();
        for (value, _) in values.iter_mut().zip(mask).filter(|(_, inside)| **inside) {
            *value = (effect / pixels as f64) as f32;
        }
    }
    Heatmap::new(height, width, values)
}

#[cfg(test)]
mod tests {
    use archaeo_random::{Draw, keyed_rng};

    use super::*;
    use crate::statistics::{DEFAULT_LEVEL, Resampling, mean_t, sign_flip_test};

    const SIDE: usize = 12;

    /// An additive model on an image of factors, each a block of columns: what it loses without one is that one's weight.
    struct Table {
        masks: Vec<Vec<bool>>,
        truth: CausalTruth,
    }

    impl Table {
        fn new(weights: &[f64], image: u64) -> Self {
            let mut rng = keyed_rng(0, "blocks", image, 0);
            // Every pixel belongs to one factor, and each has a column at least.
            let owners: Vec<usize> = (0..SIDE)
                .map(|column| if column < weights.len() { column } else { rng.below(weights.len()) })
                .collect();
            let mask = |factor: usize| (0..SIDE * SIDE).map(|at| owners[at % SIDE] == factor).collect();
            let masks = (0..weights.len()).map(mask).collect();
            let truth = CausalTruth { margin: weights.iter().sum(), effects: weights.to_vec() };
            Self { masks, truth }
        }

        fn single_deletion(&self, map: &Heatmap) -> f64 {
            self.truth.single_deletion(&masses(map, &self.masks)).expect("the effects differ")
        }

        fn causal_map(&self) -> Heatmap {
            causal_map(&self.truth, &self.masks, [SIDE, SIDE])
        }
    }

    fn drawn(image: u64) -> Table {
        let mut rng = keyed_rng(0, "weights", image, 0);
        Table::new(&(0..7).map(|_| f64::from(rng.between(0.01, 1.0))).collect::<Vec<_>>(), image)
    }

    fn noise(image: u64) -> Heatmap {
        let mut rng = keyed_rng(0, "noise", image, 0);
        Heatmap::new(SIDE, SIDE, (0..SIDE * SIDE).map(|_| rng.unit()).collect())
    }

    fn shuffled(map: &Heatmap, image: u64) -> Heatmap {
        let (mut rng, mut values) = (keyed_rng(0, "shuffle", image, 0), map.values.clone());
        for last in (1..values.len()).rev() {
            values.swap(last, rng.below(last + 1));
        }
        Heatmap { values, ..*map }
    }

    #[test]
    fn the_true_causal_map_scores_best() {
        for image in 0..50 {
            let table = drawn(image);
            let map = table.causal_map();
            assert!((table.single_deletion(&map) - 1.0).abs() < 1e-12);
            let mass = masses(&map, &table.masks);
            let share = |at: usize| table.truth.effects[at] / table.truth.margin;
            assert!(mass.iter().enumerate().all(|(at, mass)| (mass - share(at)).abs() < 1e-5), "{mass:?}");
            for other in [shuffled(&map, image), noise(image)] {
                assert!(table.single_deletion(&other) < 1.0);
                let of = |map: &Heatmap| table.truth.independence(&masses(map, &table.masks));
                assert!(of(&map) >= of(&other));
            }
        }
    }

    #[test]
    fn a_shuffled_map_scores_as_random_within_its_interval() {
        let tables: Vec<Table> = (0..200).map(drawn).collect();
        let of = |map: &dyn Fn(u64, &Table) -> Heatmap| -> Vec<f64> {
            let score = |(image, table): (usize, &Table)| table.single_deletion(&map(image as u64, table));
            tables.iter().enumerate().map(score).collect()
        };
        let shuffled = of(&|image, table| shuffled(&table.causal_map(), image));
        let random = of(&|image, _| noise(image));
        let test = sign_flip_test(&shuffled, &random, &Resampling::new(0)).unwrap();
        assert!(test.difference.low < 0.0 && test.difference.high > 0.0 && test.p_value > 0.05, "{test:?}");
        let mean = mean_t(&shuffled, DEFAULT_LEVEL).unwrap();
        assert!(mean.low < 0.0 && mean.high > 0.0, "weights and areas are independent: {mean:?}");
        let truth = of(&|_, table| table.causal_map());
        assert!(sign_flip_test(&truth, &random, &Resampling::new(0)).unwrap().difference.low > 0.8);
    }

    #[test]
    fn single_deletion_is_the_correlation_by_hand() {
        let truth = CausalTruth { margin: 4.0, effects: vec![3.0, 1.0, 0.0, -1.0] };
        // Ranks 4 3 2 1 against 4 3 1 2: 1 − 6·2/(4·15).
        assert!((truth.single_deletion(&[0.5, 0.3, 0.05, 0.15]).unwrap() - 0.8).abs() < 1e-12);
        assert_eq!(truth.single_deletion(&[0.1, 0.2, 0.3, 0.4]), Some(-1.0));
        assert_eq!(truth.single_deletion(&[0.25; 4]), Some(0.0));
        let indifferent = CausalTruth { margin: 1.0, effects: vec![0.5; 3] };
        assert_eq!(indifferent.single_deletion(&[0.2, 0.3, 0.5]), None);
    }

    #[test]
    fn strength_does_not_ask_for_the_sign() {
        let truth = CausalTruth { margin: 4.0, effects: vec![3.0, 1.0, 0.0, -1.0] };
        // Ranks 4 3 1 2 against 4 2½ 1 2½: covariance 4.5, variances 5 and 4.5.
        let found = truth.strength(&[0.5, 0.3, 0.05, 0.15]).unwrap();
        assert!((found - 4.5 / 22.5f64.sqrt()).abs() < 1e-12, "{found}");
        let opposed = CausalTruth { margin: 1.0, effects: vec![-0.5, 0.5, 0.5] };
        assert_eq!(opposed.strength(&[0.2, 0.3, 0.5]), None, "all have one size");
        assert!(opposed.single_deletion(&[0.2, 0.3, 0.5]).is_some());
    }

    #[test]
    fn contrastivity_is_zero_for_maps_that_do_not_know_the_class() {
        let truth = CausalTruth { margin: 1.0, effects: vec![2.0, 0.0, -1.0] };
        let (first, second) = ([0.6, 0.3, 0.1], [0.1, 0.3, 0.6]);
        assert!((truth.contrastivity(&first, &second).unwrap() - 1.0).abs() < 1e-12);
        assert!((truth.contrastivity(&second, &first).unwrap() + 1.0).abs() < 1e-12);
        assert_eq!(truth.contrastivity(&first, &first), Some(0.0));
    }

    #[test]
    fn independence_is_the_mass_on_what_matters() {
        let truth = CausalTruth { margin: -10.0, effects: vec![6.0, 0.49, -0.51, 0.0] };
        assert_eq!(truth.negligible(), [false, true, false, true]);
        assert!((truth.independence(&[0.4, 0.3, 0.2, 0.1]).unwrap() - 0.6).abs() < 1e-12);
        assert_eq!(CausalTruth { margin: 1.0, effects: vec![1.0, 2.0] }.independence(&[0.5, 0.5]), None);
        assert_eq!(CausalTruth { margin: 0.0, effects: vec![1.0, 0.0] }.independence(&[0.5, 0.5]), None);
    }

    #[test]
    fn what_is_hotter_than_even_is_important() {
        let table = Table::new(&[5.0, 1.0, 0.0], 3);
        let map = table.causal_map();
        assert!(important(&masses(&map, &table.masks), &table.masks)[0]);
        assert!(!important(&masses(&map, &table.masks), &table.masks)[2]);
        let even = Heatmap::new(SIDE, SIDE, vec![0.3; SIDE * SIDE]);
        assert_eq!(important(&masses(&even, &table.masks), &table.masks), [false; 3]);
        let nothing = Heatmap::new(SIDE, SIDE, vec![-1.0; SIDE * SIDE]);
        assert_eq!(important(&masses(&nothing, &table.masks), &table.masks), [false; 3]);
    }
}
