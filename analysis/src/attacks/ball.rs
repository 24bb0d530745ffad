//! Projections onto balls that leave most values where they are.

/// The change nearest to `moved` − `clean` among those of sum of absolute values `size` at most that stay in the box
/// (Croce and Hein, 2021, proposition 2.1): each is shortened by the same amount λ, and cut to its room r in the box,
/// sign(u) · min(max(|u| − λ, 0), r), where the sum falls in λ along straight lines between 2n known places.
pub(super) fn project_in_l1(moved: &[f64], clean: &[f32], size: f64) -> Vec<f64> {
    let changes = moved.iter().zip(clean).map(|(moved, &clean)| {
        let (change, clean) = (moved - f64::from(clean), f64::from(clean));
        (change, if change > 0.0 { 1.0 - clean } else { clean })
    });
    let changes: Vec<(f64, f64)> = changes.collect();
    let shortened = |by: f64| {
        changes.iter().map(move |(change, room)| ((change.abs() - by).max(0.0).min(*room)).copysign(*change))
    };
    if changes.iter().map(|(change, room)| change.abs().min(*room)).sum::<f64>() <= size {
        return shortened(0.0).collect();
    }
    // As λ falls, a value begins to move at |u|, and has arrived at |u| − r.
    let mut places: Vec<(f64, f64)> = Vec::with_capacity(2 * changes.len());
    for (change, room) in changes.iter().filter(|(_, room)| *room > 0.0) {
        places.push((change.abs(), 1.0));
        places.push((change.abs() - room, -1.0));
    }
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut sum, mut moving, mut by) = (0.0, 0.0, places.first().map_or(0.0, |place| place.0));
    for (place, begins) in places {
        let next = sum + moving * (by - place);
        if next >= size {
            break;
        }
        (sum, by) = (next, place);
        moving += begins;
    }
    let by = if moving > 0.0 { by - (size - sum) / moving } else { by };
    shortened(by.max(0.0)).collect()
}

/// For each value whether it is among the `count` largest, the first ones where several are equal; values that are not positive are
/// never chosen. Values one `period` apart are equal, and are chosen together.
pub(super) fn keep_largest(values: &[f64], period: usize, count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..period).filter(|&place| values[place] > 0.0).collect();
    if count < order.len() {
        let larger = |&a: &usize, &b: &usize| values[b].total_cmp(&values[a]).then(a.cmp(&b));
        if count > 0 {
            order.select_nth_unstable_by(count - 1, larger);
        }
        order.truncate(count);
    }
    let mut chosen = vec![false; values.len()];
    for place in order {
        (place..values.len()).step_by(period).for_each(|place| chosen[place] = true);
    }
    chosen
}
