//! Limited-memory BFGS (Liu & Nocedal, 1989) for smooth convex functions.

use std::collections::VecDeque;

/// Pairs of steps and changes of the gradient that approximate the curvature.
const MEMORY: usize = 10;

/// Share of the decrease that the slope promises with which a step is content (Armijo, 1966).
const SUFFICIENT: f64 = 1e-4;

/// Halvings of a step before it is given up: the function does not decrease any further in its arithmetic.
const MOST_HALVINGS: usize = 30;

/// Where a minimisation ended.
#[derive(Clone, Debug)]
pub(super) struct Minimum {
    pub point: Vec<f64>,
    /// Largest entry of the gradient, without its sign.
    #[cfg_attr(not(test), allow(dead_code))]
    pub slope: f64,
}

/// Minimises `function`, which gives its value and gradient, from `start`, until no entry of the gradient is larger than `tolerance`,
/// for at most `most` steps.
pub(super) fn minimise(
    start: Vec<f64>,
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
    tolerance: f64,
    most: usize,
) -> Minimum {
    let mut point = start;
    let (mut value, mut gradient) = function(&point);
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    for _ in 0..most {
        let slope = largest(&gradient);
        if slope <= tolerance {
            break;
        }
        let direction = descent(&gradient, &pairs);
        let along = dot(&direction, &gradient);
        let mut length = if pairs.is_empty() { 1.0 / slope.max(1.0) } else { 1.0 };
        let mut found = None;
        for _ in 0..MOST_HALVINGS {
            let next: Vec<f64> = point.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let (next_value, next_gradient) = function(&next);
            if next_value <= value + SUFFICIENT * length * along {
                found = Some((next, next_value, next_gradient));
                break;
            }
            // The minimum of the parabola through value, slope and the new value, kept within a tenth and a half.
            let curvature = 2.0 * (next_value - value - length * along);
            let parabola = -along * length * length / curvature;
            length = match parabola.is_finite() {
                true => parabola.clamp(0.1 * length, 0.5 * length),
                false => 0.5 * length,
            };
        }
        let Some((next, next_value, next_gradient)) = found else { break };
        let step: Vec<f64> = next.iter().zip(&point).map(|(new, old)| new - old).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        if dot(&step, &change) > 1e-14 * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back((step, change));
        }
        (point, value, gradient) = (next, next_value, next_gradient);
    }
    Minimum { slope: largest(&gradient), point }
}

/// The two-loop recursion (Nocedal & Wright, 2006, algorithm 7.4): minus the approximate inverse Hessian times the gradient.
fn descent(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for (step, change) in pairs.iter().rev() {
        let share = dot(step, &direction) / dot(step, change);
        add(&mut direction, -share, change);
        shares.push(share);
    }
    if let Some((step, change)) = pairs.back() {
        let scale = dot(step, change) / dot(change, change);
        direction.iter_mut().for_each(|entry| *entry *= scale);
    }
    for ((step, change), share) in pairs.iter().zip(shares.iter().rev()) {
        let back = dot(change, &direction) / dot(step, change);
        add(&mut direction, share - back, step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], scale: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += scale * what);
}

fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |largest, entry| entry.abs().max(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badly_scaled_quadratic_ends_at_its_minimum() {
        let scales = [1.0, 10.0, 100.0, 1000.0, 0.1];
        let quadratic = |x: &[f64]| {
            let residuals: Vec<f64> = x.iter().zip(1..).map(|(x, target)| x - f64::from(target)).collect();
            let value = residuals.iter().zip(scales).map(|(r, scale)| 0.5 * scale * r * r).sum();
            (value, residuals.iter().zip(scales).map(|(r, scale)| scale * r).collect())
        };
        let found = minimise(vec![0.0; 5], quadratic, 1e-9, 200);
        assert!(found.slope <= 1e-9, "{found:?}");
        for (x, target) in found.point.iter().zip(1..) {
            assert!((x - f64::from(target)).abs() < 1e-7, "{found:?}");
        }
    }
}
