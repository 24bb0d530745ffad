//! The share that is left: of images that stay right, say, as the perturbation that is allowed grows.

use serde::{Deserialize, Serialize};

use super::{Result, StatisticsError, check_count, check_level, wilson};

/// What is left beyond a place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurvivalPoint {
    /// The place.
    pub at: f64,
    /// Share of the values beyond it.
    pub share: f64,
    /// Wilson interval of that share alone.
    pub interval: [f64; 2],
    /// Band that holds the whole curve at once (Dvoretzky, Kiefer and Wolfowitz, 1956, with the constant of Massart, 1990).
    pub band: [f64; 2],
}

/// The share of values beyond 0 and beyond each finite one of them, which may be infinite: a step function that falls at each place.
///
/// # Errors
/// No values, one that is negative or not a number, or a `level` outside `(0, 1)`.
pub fn survival(values: &[f64], level: f64) -> Result<Vec<SurvivalPoint>> {
    check_level(level)?;
    check_count("a curve", 1, values.len())?;
    if let Some(index) = values.iter().position(|value| value.is_nan() || *value < 0.0) {
        let value = values[index];
        return Err(StatisticsError::OutOfRange { what: "a length", value, allowed: "0 to infinity" });
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let half = ((2.0 / (1.0 - level)).ln() / (2.0 * n as f64)).sqrt();
    let mut places = vec![0.0];
    places.extend(sorted.iter().copied().filter(|value| value.is_finite()));
    places.dedup();
    let point = |at: f64| {
        let beyond = n - sorted.partition_point(|value| *value <= at);
        let share = wilson(beyond, n, level)?;
        let band = [(share.value - half).max(0.0), (share.value + half).min(1.0)];
        Ok(SurvivalPoint { at, share: share.value, interval: [share.low, share.high], band })
    };
    places.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_falls_at_every_value_and_ends_at_what_is_never_reached() {
        let curve = survival(&[0.0, 2.0, f64::INFINITY, 2.0, 0.5], 0.95).unwrap();
        let steps: Vec<(f64, f64)> = curve.iter().map(|point| (point.at, point.share)).collect();
        assert_eq!(steps, [(0.0, 0.8), (0.5, 0.6), (2.0, 0.2)]);
        for point in &curve {
            let alone = wilson((5.0 * point.share) as usize, 5, 0.95).unwrap();
            assert_eq!(point.interval, [alone.low, alone.high]);
        }
        assert!(survival(&[-1.0], 0.95).is_err() && survival(&[], 0.95).is_err());
    }

    /// The half width is sqrt(ln(2 / 0.05) / 2n), and the band holds the whole curve of uniform samples about as often as it says.
    #[test]
    fn the_band_holds_the_whole_curve() {
        let point = survival(&(1..=100).map(f64::from).collect::<Vec<_>>(), 0.95).unwrap()[50];
        assert!((point.share - 0.5).abs() < 1e-12);
        assert!((point.band[0] - (0.5 - 0.135_810)).abs() < 1e-6 && (point.band[1] - 0.635_810).abs() < 1e-6);
        let mut state = 7u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut held = 0;
        for _ in 0..1000 {
            let sample: Vec<f64> = (0..50).map(|_| uniform()).collect();
            let curve = survival(&sample, 0.95).unwrap();
            // The true share beyond x is 1 − x. Just before a place the curve still has the share of the one before.
            let inside = curve.windows(2).all(|pair| {
                let holds = |at: f64| pair[0].band[0] <= 1.0 - at && 1.0 - at <= pair[0].band[1];
                holds(pair[0].at) && holds(pair[1].at)
            });
            held += usize::from(inside);
        }
        assert!((945..=985).contains(&held), "{held} of 1000");
    }
}
