//! The three facts that the example `reverse_sequence` shows, as PyTorch measured them for the same layer.

#[path = "../../examples/reverse_sequence/task.rs"]
mod task;

use task::{LENGTH, Numbers, Outcome, Positions, train};

/// Mean weight that a query gives to its mirror image.
fn antidiagonal(outcome: &Outcome) -> f32 {
    (0..LENGTH).map(|query| outcome.attention[query * LENGTH + LENGTH - 1 - query]).sum::<f32>()
        / LENGTH as f32
}

#[test]
fn without_positions_the_task_is_impossible() {
    // The mean of the other nine tokens leaves 8/9 of the variance; an answer of nothing would leave all of it.
    for (numbers, variance) in [(Numbers::Normal, 1.0), (Numbers::Uniform, 1.0 / 12.0)] {
        let outcome = train(Positions::None, numbers, 0);
        let share = outcome.loss / variance;
        assert!((8.0 / 9.0 - 0.01..1.02).contains(&share), "{numbers:?}: {} of the variance", share);
        assert!(antidiagonal(&outcome) < 0.15, "{}", antidiagonal(&outcome));
    }
}

#[test]
fn positions_on_queries_and_keys_solve_it() {
    let outcome = train(Positions::QueriesAndKeys, Numbers::Normal, 0);
    assert!(outcome.loss < 0.001, "{}, where PyTorch reaches 0.0006", outcome.loss);
    assert!(antidiagonal(&outcome) > 0.98, "{}", antidiagonal(&outcome));
}

#[test]
fn positions_on_values_too_stand_in_the_way() {
    let outcome = train(Positions::Everywhere, Numbers::Normal, 0);
    assert!((0.1..0.16).contains(&outcome.loss), "{}, where PyTorch stalls at 0.13", outcome.loss);
    assert!(antidiagonal(&outcome) > 0.98, "it looks at the right place: {}", antidiagonal(&outcome));
}
