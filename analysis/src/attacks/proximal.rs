//! Proximal operators: the z that minimises ½‖z − x‖² + λ·φ(z).
//!
//! | φ | z |
//! |---|---|
//! | L1 | each value λ nearer to 0 |
//! | L2 | the whole λ nearer to 0 |
//! | L∞ | x less its projection on the L1 ball of radius λ (Moreau's decomposition) |
//! | Σ abs(zᵢ)^⅔ | u³ with u the largest root of u⁴ − abs(x)·u + ⅔λ, where that is better than 0 |
//!
//! The last stands for L0: it leads to few values, as the count itself does, but moves before they vanish.

use super::Norm;

/// Replaces x by z.
pub(super) fn proximal(norm: Norm, x: &mut [f64], lambda: f64) {
    match norm {
        Norm::L1 => x.iter_mut().for_each(|x| *x = (x.abs() - lambda).max(0.0).copysign(*x)),
        Norm::L2 => {
            let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            let kept = if length > lambda { 1.0 - lambda / length } else { 0.0 };
            x.iter_mut().for_each(|x| *x *= kept);
        }
        Norm::Linf => {
            // What the projection on the L1 ball takes from each value is what is left of it here.
            let cap = taken_in_l1(x, lambda);
            x.iter_mut().for_each(|x| *x = x.abs().min(cap).copysign(*x));
        }
        Norm::L0 => x.iter_mut().for_each(|x| *x = two_thirds(x.abs(), lambda).copysign(*x)),
    }
}

/// By how much the projection on the L1 ball of a radius shortens every value (Duchi et al., 2008); 0 if x lies in it.
fn taken_in_l1(x: &[f64], radius: f64) -> f64 {
    let mut sizes: Vec<f64> = x.iter().map(|x| x.abs()).collect();
    if sizes.iter().sum::<f64>() <= radius {
        return 0.0;
    }
    sizes.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut taken) = (0.0, 0.0);
    for (count, size) in sizes.iter().enumerate() {
        sum += size;
        let candidate = (sum - radius) / (count + 1) as f64;
        if candidate >= *size {
            break;
        }
        taken = candidate;
    }
    taken
}

/// The z ≥ 0 that minimises ½(z − x)² + λ·z^⅔. Its derivative is 0 where u = ∛z solves u⁴ − x·u + ⅔λ = 0, which is the product of
/// u² ± a·u + … with b = a² from b³ − (8λ/3)·b − x² = 0. From x = 2·(⅔λ)^¾ on that beats z = 0.
fn two_thirds(x: f64, lambda: f64) -> f64 {
    if lambda <= 0.0 {
        return x;
    }
    if x <= 2.0 * (2.0 * lambda / 3.0).powf(0.75) {
        return 0.0;
    }
    let half = x * x / 2.0;
    let root = (half * half - (8.0 * lambda / 9.0).powi(3)).max(0.0).sqrt();
    let a = ((half + root).cbrt() + (half - root).cbrt()).sqrt();
    let u = (a + (2.0 * x / a - a * a).max(0.0).sqrt()) / 2.0;
    u.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [f64; 4] = [0.9, -0.35, 0.0, 0.05];

    fn after(norm: Norm, lambda: f64) -> Vec<f64> {
        let mut x = X.to_vec();
        proximal(norm, &mut x, lambda);
        x
    }

    #[test]
    fn closed_forms() {
        let close = |found: Vec<f64>, expected: [f64; 4]| {
            found
                .iter()
                .zip(expected)
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{found:?} {expected:?}"));
        };
        close(after(Norm::L1, 0.1), [0.8, -0.25, 0.0, 0.0]);
        let length = X.iter().map(|x| x * x).sum::<f64>().sqrt();
        close(after(Norm::L2, 0.1), X.map(|x| x * (1.0 - 0.1 / length)));
        close(after(Norm::L2, 2.0), [0.0; 4]);
        // The largest gives 0.1; further, the two largest share what is taken: 0.9 + 0.35 − 2·cap = 0.75.
        close(after(Norm::Linf, 0.1), [0.8, -0.35, 0.0, 0.05]);
        close(after(Norm::Linf, 0.75), [0.25, -0.25, 0.0, 0.05]);
        close(after(Norm::Linf, 2.0), [0.0; 4]);
    }

    /// What is minimised, at a fine grid of every value on its own or, of the norms that bind values together, around the result.
    #[test]
    fn nothing_nearby_is_smaller() {
        let objective = |norm: Norm, z: &[f64], lambda: f64| {
            let near: f64 = z.iter().zip(X).map(|(z, x)| (z - x) * (z - x)).sum::<f64>() / 2.0;
            let size = match norm {
                Norm::L0 => z.iter().map(|z| z.abs().powf(2.0 / 3.0)).sum(),
                Norm::L1 => z.iter().map(|z| z.abs()).sum(),
                Norm::L2 => z.iter().map(|z| z * z).sum::<f64>().sqrt(),
                Norm::Linf => z.iter().fold(0f64, |m, z| m.max(z.abs())),
            };
            near + lambda * size
        };
        for norm in Norm::ALL {
            for lambda in [1e-4, 0.01, 0.05, 0.2, 0.5, 0.8] {
                let found = after(norm, lambda);
                let least = objective(norm, &found, lambda);
                for place in 0..4 {
                    for k in 0..=2000 {
                        let mut other = found.clone();
                        other[place] = f64::from(k - 1000) / 1000.0;
                        let value = objective(norm, &other, lambda);
                        assert!(
                            value >= least - 1e-9,
                            "{norm} {lambda} {found:?}: {other:?} has {value} < {least}"
                        );
                    }
                }
                // All values together, nearer to 0 or to x.
                for k in 0..=100 {
                    let part = f64::from(k) / 100.0;
                    let other: Vec<f64> = found.iter().zip(X).map(|(z, x)| z + part * (x - z)).collect();
                    assert!(objective(norm, &other, lambda) >= least - 1e-9, "{norm} {lambda}");
                }
            }
        }
    }
}
