//! The angle between two vectors.

/// Cosine of the angle between two vectors; 1 where either is nothing, since nothing then has changed its direction.
pub fn cosine(first: &[f32], second: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let lengths = (dot(first, first) * dot(second, second)).sqrt();
    if lengths > 0.0 { dot(first, second) / lengths } else { 1.0 }
}
