//! Do patches with edges receive more, and edges of which direction?

use super::seen::Seen;
use super::{Measure, PatchContent, pearson};

/// Correlation of the weight that each patch receives with the image's gradient there, and with its direction; the nulls have the
/// patches of `moved`.
pub(super) fn measures(seen: &Seen, content: &PatchContent, moved: &PatchContent) -> [Measure; 2] {
    let received = seen.received(content.gradient.len());
    let with = |of: fn(&PatchContent) -> &[f64]| Measure {
        value: pearson(&received, of(content)),
        null: pearson(&received, of(moved)),
    };
    [with(|content| &content.gradient), with(|content| &content.orientation)]
}
