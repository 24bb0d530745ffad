//! Stratified samples, and draws from a generator.

use std::collections::BTreeMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::keyed_rng;

/// `count` of the images with these `labels` at random (all, if there are fewer), ascending, each class in proportion to
/// its size: fractional shares are settled by largest remainders, and every class has at least one image if `count` allows it.
/// `stream` names the purpose. The images of each class are ranked by separate draws, so that a larger sample contains most of a
/// smaller one.
pub fn stratified(seed: u64, stream: &str, labels: &[usize], count: usize) -> Vec<usize> {
    let members = ranked(seed, stream, labels);
    let sizes: Vec<usize> = members.values().map(Vec::len).collect();
    // Ties between classes are broken by lot, or the first classes would always be preferred.
    let lots: Vec<u64> =
        members.keys().map(|&label| keyed_rng(seed, stream, label as u64, 1).next_u64()).collect();
    let mut chosen = Vec::new();
    for (ranked, share) in members.into_values().zip(shares(&sizes, &lots, count)) {
        chosen.extend(ranked.into_iter().take(share).map(|(_, index)| index));
    }
    chosen.sort_unstable();
    chosen
}

/// A share of the images with these `labels` at random, ascending: of each class its share, rounded, and at least one. `stream` names
/// the purpose. A smaller share is part of every larger one.
pub fn nested_share(seed: u64, stream: &str, labels: &[usize], share: f64) -> Vec<usize> {
    let of_class = |ranked: Vec<(u64, usize)>| {
        let count = ((share * ranked.len() as f64).round() as usize).max(1);
        ranked.into_iter().take(count).map(|(_, index)| index)
    };
    let mut chosen: Vec<usize> = ranked(seed, stream, labels).into_values().flat_map(of_class).collect();
    chosen.sort_unstable();
    chosen
}

/// The images of each class in random order, each with its draw.
fn ranked(seed: u64, stream: &str, labels: &[usize]) -> BTreeMap<usize, Vec<(u64, usize)>> {
    let mut members: BTreeMap<usize, Vec<(u64, usize)>> = BTreeMap::new();
    for (index, &label) in labels.iter().enumerate() {
        let draw = keyed_rng(seed, stream, index as u64, 0).next_u64();
        members.entry(label).or_default().push((draw, index));
    }
    members.values_mut().for_each(|members| members.sort_unstable());
    members
}

/// Shares of `count` in proportion to `sizes`, by largest remainders; `lots` decide between equal ones.
fn shares(sizes: &[usize], lots: &[u64], count: usize) -> Vec<usize> {
    let n: usize = sizes.iter().sum();
    if count >= n {
        return sizes.to_vec();
    }
    let least = usize::from(count >= sizes.len());
    // Of a class, `count · size` in units of 1/n: whole numbers, so that nothing depends on rounding.
    let claim = |class: usize| count as i128 * sizes[class] as i128;
    let mut shares: Vec<usize> =
        (0..sizes.len()).map(|class| ((claim(class) / n as i128) as usize).max(least)).collect();
    let owed = |shares: &[usize], class: usize| claim(class) - shares[class] as i128 * n as i128;
    while shares.iter().sum::<usize>() < count {
        let open = (0..sizes.len()).filter(|&class| shares[class] < sizes[class]);
        let next = open.max_by_key(|&class| (owed(&shares, class), lots[class])).expect("count is below n");
        shares[next] += 1;
    }
    while shares.iter().sum::<usize>() > count {
        let open = (0..sizes.len()).filter(|&class| shares[class] > least);
        let next =
            open.min_by_key(|&class| (owed(&shares, class), lots[class])).expect("count allows one each");
        shares[next] -= 1;
    }
    shares
}

/// Up to `count` of `indices`, which name images with the given `labels`, to be shown: one image of each class in turn, then
/// a second of each, and so on. Where there are more classes than `count`, classes are taken evenly from first to last.
pub fn spread(labels: &[usize], indices: &[usize], count: usize) -> Vec<usize> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    indices.iter().for_each(|&index| members.entry(labels[index]).or_default().push(index));
    let members: Vec<Vec<usize>> = members.into_values().collect();
    if count < members.len() {
        return (0..count).map(|i| members[i * members.len() / count][0]).collect();
    }
    let rounds = members.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..rounds).flat_map(|round| members.iter().filter_map(move |class| class.get(round)));
    turns.copied().take(count).collect()
}

/// The elementary draws of data and augmentation.
///
/// They are our own, in exactly rounded arithmetic and without mathematical functions, because generated
/// data must stay the same for every platform and every version of a library.
pub trait Draw {
    /// Uniform on [0, 1), with 24 random bits.
    fn unit(&mut self) -> f32;

    /// Uniform on {0, …, n − 1}; zero for `n = 0`.
    fn below(&mut self, n: usize) -> usize;

    /// Uniform on [`low`, `high`).
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with probability `p`.
    fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// A direction (x, y) of length one, uniform on the circle.
    fn direction(&mut self) -> (f32, f32) {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 1e-4 && square <= 1.0 {
                let length = square.sqrt();
                return (x / length, y / length);
            }
        }
    }

    /// Mean 0, standard deviation 1: the standardised sum of four uniform bytes, which is close to normal
    /// up to 3.4 deviations and never beyond. For pixel noise, one random word each.
    fn rough_normal(&mut self) -> f32;
}

impl Draw for ChaCha8Rng {
    fn unit(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, n: usize) -> usize {
        // 64 random bits make the bias of the multiplication at most n / 2^64.
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    fn rough_normal(&mut self) -> f32 {
        // Four bytes of variance (256² − 1) / 12 each.
        const DEVIATION: f32 = 147.800_76;
        let sum: u32 = self.next_u32().to_le_bytes().into_iter().map(u32::from).sum();
        (sum as f32 - 510.0) / DEVIATION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `chosen` have each label.
    fn counts(labels: &[usize], chosen: &[usize], classes: usize) -> Vec<usize> {
        (0..classes).map(|class| chosen.iter().filter(|&&index| labels[index] == class).count()).collect()
    }

    #[test]
    fn a_smaller_share_is_part_of_a_larger_one_in_every_class() {
        let labels: Vec<usize> = (0..210).map(|index| usize::from(index >= 200)).collect();
        let mut last = Vec::new();
        for (share, expected) in [(0.01, [2, 1]), (0.05, [10, 1]), (0.25, [50, 3]), (1.0, [200, 10])] {
            let chosen = nested_share(4, "test", &labels, share);
            assert_eq!(counts(&labels, &chosen, 2), expected);
            assert!(last.iter().all(|index| chosen.contains(index)));
            last = chosen;
        }
        assert_ne!(nested_share(4, "test", &labels, 0.25), nested_share(5, "test", &labels, 0.25));
    }

    #[test]
    fn a_stratified_sample_keeps_the_shares_of_the_classes() {
        // Taking turns, as in Sherds, and sorted, as in folders: every k-th image would be of one class, or miss some.
        let turns: Vec<usize> = (0..200).map(|index| index % 10).collect();
        let sorted: Vec<usize> = (0..200).map(|index| index / 20).collect();
        for labels in [&turns, &sorted] {
            assert_eq!(counts(labels, &stratified(0, "test", labels, 20), 10), [2; 10]);
            let uneven = counts(labels, &stratified(0, "test", labels, 27), 10);
            assert!(uneven.iter().all(|count| [2, 3].contains(count)), "{uneven:?}");
            assert_eq!(uneven.iter().sum::<usize>(), 27);
            let few = counts(labels, &stratified(0, "test", labels, 4), 10);
            assert_eq!(few.iter().filter(|&&count| count == 1).count(), 4, "four classes, one image each");
        }
        // 120, 60, 15, 4 and 1 of 200: of 20 images 12, 6, 1.5, 0.4 and 0.1.
        let sizes = [120, 60, 15, 4, 1];
        let labels: Vec<usize> = (0..5).flat_map(|class| std::iter::repeat_n(class, sizes[class])).collect();
        // Each has one; the remaining one too many is taken from who has the most beyond its share.
        let got = counts(&labels, &stratified(3, "test", &labels, 20), 5);
        assert_eq!(got.iter().sum::<usize>(), 20);
        assert_eq!(got[2..], [1, 1, 1], "{got:?}");
        assert!([[11, 6], [12, 5]].contains(&[got[0], got[1]]), "{got:?}");
        assert_eq!(stratified(0, "test", &labels, 500), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_stratified_sample_is_a_draw_of_its_own() {
        let labels: Vec<usize> = (0..1000).map(|index| index % 3).collect();
        let [a, again, b, c] = [(0, "x"), (0, "x"), (1, "x"), (0, "y")]
            .map(|(seed, stream)| stratified(seed, stream, &labels, 90));
        assert!(a == again && a != b && a != c && a.is_sorted());
        // A simple random sample within each class: no position is preferred.
        let mut firsts = 0;
        for seed in 0..400 {
            firsts += stratified(seed, "x", &labels, 300).iter().filter(|&&index| index < 500).count();
        }
        let mean = f64::from(firsts as u32) / 400.0;
        assert!((mean - 150.0).abs() < 2.0, "{mean}");
    }

    #[test]
    fn what_is_shown_is_spread_over_the_classes() {
        let labels = [0, 0, 0, 0, 1, 1, 2, 2, 2];
        let all: Vec<usize> = (0..9).collect();
        assert_eq!(spread(&labels, &all, 5), [0, 4, 6, 1, 5]);
        assert_eq!(spread(&labels, &all, 20), [0, 4, 6, 1, 5, 7, 2, 8, 3]);
        assert_eq!(spread(&labels, &[8, 3, 2], 2), [3, 8]);
        let many: Vec<usize> = (0..100).collect();
        assert_eq!(spread(&many, &many, 4), [0, 25, 50, 75]);
        assert_eq!(spread(&labels, &[], 4), [0usize; 0]);
    }

    #[test]
    fn draws_have_the_stated_ranges_and_moments() {
        let mut rng = keyed_rng(0, "test", 0, 0);
        let n = 100_000;
        let mut counts = [0usize; 7];
        let (mut mean, mut square, mut uniform) = (0.0f64, 0.0f64, 0.0f64);
        for _ in 0..n {
            counts[rng.below(7)] += 1;
            let normal = f64::from(rng.rough_normal());
            mean += normal / f64::from(n);
            square += normal * normal / f64::from(n);
            let unit = rng.unit();
            assert!((0.0..1.0).contains(&unit));
            uniform += f64::from(unit) / f64::from(n);
            let (x, y) = rng.direction();
            assert!((x * x + y * y - 1.0).abs() < 1e-6);
        }
        // Five standard errors.
        for count in counts {
            assert!((count as f64 - f64::from(n) / 7.0).abs() < 5.0 * (f64::from(n) * 6.0 / 49.0).sqrt());
        }
        assert!(mean.abs() < 5.0 / f64::from(n).sqrt());
        assert!((square - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt());
        assert!((uniform - 0.5).abs() < 5.0 / (12.0 * f64::from(n)).sqrt());
    }
}
