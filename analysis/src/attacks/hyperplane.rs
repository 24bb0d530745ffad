//! The nearest place of the box on a hyperplane, in each norm (Croce and Hein, 2020a, section 3.1).

use super::Threat;

/// The shortest change of `x` in the norm that stays in the box and changes `w·x` by `needed`; if none in the box does, the one that
/// comes nearest.
pub(super) fn shortest_change(threat: &Threat, x: &[f32], w: &[f64], needed: f64) -> Vec<f64> {
    let sign = if needed < 0.0 { -1.0 } else { 1.0 };
    // How far each value can go the way that helps, and what it brings for each unit.
    let room = |(&x, &w): (&f32, &f64)| if w * sign > 0.0 { 1.0 - f64::from(x) } else { f64::from(x) };
    let rooms: Vec<f64> = x.iter().zip(w).map(room).collect();
    let needed = needed.abs();
    let lengths = match threat {
        Threat::L1(_) | Threat::L0(_) => greedily(&rooms, w, needed),
        // Every value moves by the same t in L∞, and by t times its slope in L2, until its room ends.
        Threat::Linf(_) => together(&rooms, w, needed, |_| 1.0),
        Threat::L2(_) => together(&rooms, w, needed, |w| w),
    };
    lengths
        .iter()
        .zip(w)
        .map(|(length, w)| if *w == 0.0 { 0.0 } else { sign * length.copysign(*w) })
        .collect()
}

/// min(t · speed, room) of each value, with the smallest t that brings what is needed. What they bring grows in t along straight
/// lines between the places where a room ends.
fn together(rooms: &[f64], w: &[f64], needed: f64, speed: impl Fn(f64) -> f64) -> Vec<f64> {
    let speeds: Vec<f64> = w.iter().map(|w| speed(w.abs())).collect();
    let mut ends: Vec<(f64, usize)> =
        (0..w.len()).filter(|&i| w[i] != 0.0 && rooms[i] > 0.0).map(|i| (rooms[i] / speeds[i], i)).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut gain: f64 = ends.iter().map(|&(_, i)| w[i].abs() * speeds[i]).sum();
    let (mut t, mut brought) = (0.0, 0.0);
    for (end, i) in ends {
        if brought + gain * (end - t) >= needed {
            break;
        }
        brought += gain * (end - t);
        t = end;
        gain -= w[i].abs() * speeds[i];
    }
    if gain > 0.0 {
        t += (needed - brought) / gain;
    }
    rooms.iter().zip(&speeds).map(|(room, speed)| (t * speed).min(*room)).collect()
}

/// The values that bring most for each unit go to their end first.
fn greedily(rooms: &[f64], w: &[f64], needed: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..w.len()).collect();
    order.sort_by(|&a, &b| w[b].abs().total_cmp(&w[a].abs()).then(a.cmp(&b)));
    let mut lengths = vec![0.0; w.len()];
    let mut left = needed;
    for i in order {
        let slope = w[i].abs();
        if left <= 0.0 || slope == 0.0 {
            break;
        }
        lengths[i] = rooms[i].min(left / slope);
        left -= slope * lengths[i];
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against every change of a fine grid that brings as much: none is shorter.
    #[test]
    fn no_change_of_a_grid_that_brings_as_much_is_shorter() {
        let x = [0.9f32, 0.2, 0.5];
        for w in [[1.0, -2.0, 0.5], [0.3, 0.3, -0.3], [0.0, 1.0, 4.0]] {
            for needed in [0.05, 0.3, -0.4, 0.61] {
                for threat in [Threat::Linf(1.0), Threat::L2(1.0), Threat::L1(1.0)] {
                    let found = shortest_change(&threat, &x, &w, needed);
                    let brings = |change: &[f64]| change.iter().zip(w).map(|(c, w)| c * w).sum::<f64>();
                    let inside = |change: &[f64]| {
                        change.iter().zip(x).all(|(c, x)| (-1e-9..=1.0 + 1e-9).contains(&(f64::from(x) + c)))
                    };
                    assert!(inside(&found), "{found:?}");
                    let grid: Vec<f64> = (-50..=50).map(|i| f64::from(i) / 50.0).collect();
                    let all =
                        grid.iter().flat_map(|a| grid.iter().flat_map(|b| grid.iter().map(|c| [*a, *b, *c])));
                    let enough = |change: &[f64; 3]| {
                        inside(change) && brings(change) * needed.signum() >= needed.abs()
                    };
                    let shortest = all
                        .filter(enough)
                        .map(|c| threat.length(c.into_iter()))
                        .fold(f64::INFINITY, f64::min);
                    if shortest.is_finite() {
                        assert!((brings(&found) - needed).abs() < 1e-9, "{w:?} {needed}: {found:?}");
                        assert!(threat.length(found.into_iter()) <= shortest + 1e-9);
                    }
                }
            }
        }
    }

    #[test]
    fn where_the_box_ends_too_soon_every_value_goes_to_its_end() {
        for threat in [Threat::Linf(1.0), Threat::L2(1.0), Threat::L1(1.0)] {
            let found = shortest_change(&threat, &[0.75, 0.25, 0.5], &[1.0, -1.0, 0.0], 9.0);
            assert_eq!(found, [0.25, -0.25, 0.0], "{threat:?}");
        }
    }
}
