//! Which values have received a gradient in the backward pass that this thread runs.
//!
//! Burn's `Gradients` adds a second gradient of a value to the first by Burn's own addition, and does not say whether there is a
//! first. Where an operation knows that there is, it takes the first one and adds it itself, most cheaply while it writes its own:
//! each value of a residual stream has two gradients, that of the stream and that of the branch.

use std::cell::RefCell;
use std::collections::HashSet;

use burn::backend::autodiff::NodeId;

/// Values remembered at most: many more than the open ones of any pass. A forgotten one is added to by Burn.
const MOST: usize = 4096;

thread_local! {
    /// A value passes its gradient on once, in one pass (Burn refuses a second), so that nothing is asked of it afterwards.
    static RECEIVED: RefCell<HashSet<NodeId>> = RefCell::default();
}

/// The value now has a gradient.
pub(super) fn insert(value: NodeId) {
    RECEIVED.with_borrow_mut(|received| {
        if received.len() == MOST {
            received.clear();
        }
        received.insert(value);
    });
}

/// Whether the value is known to have a gradient, which the caller then takes.
pub(super) fn take(value: NodeId) -> bool {
    RECEIVED.with_borrow_mut(|received| received.remove(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_is_taken_once_and_many_are_forgotten() {
        let value = NodeId::new();
        assert!(!take(value));
        insert(value);
        insert(value);
        assert!(take(value) && !take(value));
        insert(value);
        (0..MOST).for_each(|_| insert(NodeId::new()));
        assert!(!take(value));
    }
}
