//! What pushes points apart: sums over all other points, of which a quadtree takes those that are far away together (Barnes & Hut,
//! 1986).

use rayon::prelude::*;

/// Points closer together than a square of this depth are one.
const DEEPEST: usize = 48;

/// Unnormalised forces, and what they are divided by.
pub(super) struct Repulsion {
    /// `Σⱼ (1 + ‖y_i − y_j‖²)⁻² (y_i − y_j)` of each point.
    pub forces: Vec<[f64; 2]>,
    /// `Z = Σ_{i≠j} (1 + ‖y_i − y_j‖²)⁻¹`.
    pub normalisation: f64,
}

/// Forces on all points; exact where `theta` is 0. Each point walks through the tree on its own and sums in the order of the tree, so
/// that no result depends on the number of threads.
pub(super) fn repulsion(points: &[[f64; 2]], theta: f64) -> Repulsion {
    let tree = Tree::of(points);
    let square = theta * theta;
    let found: Vec<([f64; 2], f64)> = points.par_iter().map(|point| tree.force(*point, square)).collect();
    let (forces, sums): (Vec<[f64; 2]>, Vec<f64>) = found.into_iter().unzip();
    Repulsion { forces, normalisation: sums.iter().sum() }
}

/// A square of the plane with the points in it.
struct Cell {
    /// Mean of its points.
    middle: [f64; 2],
    count: f64,
    /// Square of its side; 0 where there is nothing below it.
    side: f64,
    /// The cell after all that are below this one.
    next: usize,
}

/// Cells in the order of a walk that always goes down first.
struct Tree {
    cells: Vec<Cell>,
}

impl Tree {
    fn of(points: &[[f64; 2]]) -> Self {
        let bounds = |axis: usize| {
            let values = points.iter().map(|point| point[axis]);
            let [low, high] = [f64::min, f64::max]
                .map(|pick: fn(f64, f64) -> f64| values.clone().reduce(pick).unwrap_or(0.0));
            (low, high)
        };
        let ((left, right), (bottom, top)) = (bounds(0), bounds(1));
        let side = f64::max(right - left, top - bottom);
        let centre = [(left + right) / 2.0, (bottom + top) / 2.0];
        let mut tree = Self { cells: Vec::with_capacity(2 * points.len()) };
        let mut order: Vec<u32> = (0..points.len() as u32).collect();
        tree.add(points, &mut order, centre, side, 0);
        tree
    }

    fn add(&mut self, points: &[[f64; 2]], order: &mut [u32], centre: [f64; 2], side: f64, depth: usize) {
        let place = self.cells.len();
        let count = order.len() as f64;
        let mut sum = [0.0; 2];
        for &image in order.iter() {
            sum[0] += points[image as usize][0];
            sum[1] += points[image as usize][1];
        }
        let single = order.len() == 1 || depth == DEEPEST || side == 0.0;
        let middle = if order.len() == 1 { points[order[0] as usize] } else { sum.map(|sum| sum / count) };
        self.cells.push(Cell { middle, count, side: if single { 0.0 } else { side * side }, next: 0 });
        if !single {
            let half = side / 2.0;
            let (low, high) = parted(order, |image| points[image as usize][1] < centre[1]);
            for (rows, up) in [(low, -1.0), (high, 1.0)] {
                let (left, right) = parted(rows, |image| points[image as usize][0] < centre[0]);
                for (quarter, along) in [(left, -1.0), (right, 1.0)] {
                    if !quarter.is_empty() {
                        let centre = [centre[0] + along * half / 2.0, centre[1] + up * half / 2.0];
                        self.add(points, quarter, centre, half, depth + 1);
                    }
                }
            }
        }
        self.cells[place].next = self.cells.len();
    }

    fn force(&self, point: [f64; 2], theta: f64) -> ([f64; 2], f64) {
        let (mut force, mut sum) = ([0.0; 2], 0.0);
        let mut place = 0;
        while let Some(cell) = self.cells.get(place) {
            let difference = [point[0] - cell.middle[0], point[1] - cell.middle[1]];
            let distance = difference[0] * difference[0] + difference[1] * difference[1];
            // A cell of one place is what it stands for.
            if cell.side == 0.0 || cell.side < theta * distance {
                let weight = 1.0 / (1.0 + distance);
                sum += cell.count * weight;
                let push = cell.count * weight * weight;
                force[0] += push * difference[0];
                force[1] += push * difference[1];
                place = cell.next;
            } else {
                place += 1;
            }
        }
        // The point itself, at distance 0.
        (force, sum - 1.0)
    }
}

/// Those for which `first` holds, then the others, each in their order.
fn parted(order: &mut [u32], first: impl Fn(u32) -> bool) -> (&mut [u32], &mut [u32]) {
    let (before, after): (Vec<u32>, Vec<u32>) = order.iter().partition(|image| first(**image));
    let count = before.len();
    order[..count].copy_from_slice(&before);
    order[count..].copy_from_slice(&after);
    order.split_at_mut(count)
}
