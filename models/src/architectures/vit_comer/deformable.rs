//! Multi-scale deformable attention (Zhu et al., 2021, <https://arxiv.org/abs/2010.04159>, equation 3) in plain tensor operations.
//!
//! A query reads a few points of each of several maps, whose places and shares it decides. A map at a point between its pixels is the sum
//! over all pixels of their value times `tent(row − r) · tent(column − c)`, where `tent(t) = max(0, 1 − |t|)`: bilinear interpolation, with
//! zeros beyond the edges. Over all points of a query that is one weight per pixel, so that reading is a matrix product, and gradients
//! reach values, places and shares through it.

use archaeo_ops::{Precision, relu};
use burn::module::{Module, Param, ParamId};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::pyramid::Grids;
use crate::layers::Linear;

/// Deformable attention of the places of a pyramid over its maps.
#[derive(Module, Debug)]
pub struct DeformableAttention {
    /// Where each point lies from the query's own place, in pixels of its map: x, then y; `[heads · maps · points · 2, width]`.
    pub sampling_offsets: Linear,
    /// The score of each point, `[heads · maps · points, width]`.
    pub attention_weights: Linear,
    /// `[width, width]`
    pub value_proj: Linear,
    /// Mixes the heads, `[width, width]`.
    pub output_proj: Linear,
    heads: usize,
    points: usize,
}

impl DeformableAttention {
    /// Attention with placeholder weights, whose points lie on rays around the query.
    pub(super) fn new(width: usize, heads: usize, points: usize, device: &Device) -> Self {
        let count = heads * Grids::LEVELS * points;
        let mut sampling_offsets = Linear::new(width, 2 * count, true, device);
        sampling_offsets.bias = Some(rays(heads, points, device));
        Self {
            sampling_offsets,
            attention_weights: Linear::new(width, count, true, device),
            value_proj: Linear::new(width, width, true, device),
            output_proj: Linear::new(width, width, true, device),
            heads,
            points,
        }
    }

    /// What each place of the pyramid reads of all its maps. Both arguments have a row per place, map by map.
    ///
    /// # Shapes
    /// `[batch, places, width]` → `[batch, places, width]`
    pub(super) fn forward(
        &self,
        queries: Tensor<3>,
        values: Tensor<3>,
        grids: &Grids,
        precision: Precision,
    ) -> Tensor<3> {
        let [batch, count, width] = queries.dims();
        let Self { heads, points, .. } = *self;
        let (rows_of, all) = (batch * heads, Grids::LEVELS * points);
        let by_head = |x: Tensor<3>, each: usize| {
            x.reshape([batch, count, heads, each]).swap_dims(1, 2).reshape([rows_of, count, each])
        };
        let offsets = by_head(self.sampling_offsets.forward(queries.clone(), precision), 2 * all);
        let shares = softmax(by_head(self.attention_weights.forward(queries, precision), all), 2);
        let values = by_head(self.value_proj.forward(values, precision), width / heads);

        let read = grids.levels().into_iter().enumerate().map(|(level, grid)| {
            let of_level = |x: &Tensor<3>, each: usize| {
                x.clone()
                    .narrow(2, level * points * each, points * each)
                    .reshape([rows_of, count, points, each])
            };
            let (offsets, shares) = (of_level(&offsets, 2), of_level(&shares, 1));
            let tents = |axis: usize, length: usize| {
                let distances = distances(grids, 1 - axis, length, &offsets.device());
                tent(offsets.clone().narrow(3, axis, 1) + distances)
            };
            let [rows, columns] = grid;
            // [.., points, rows]ᵀ · [.., points, columns]
            let weights = (tents(1, rows) * shares).swap_dims(2, 3).matmul(tents(0, columns));
            weights.reshape([rows_of, count, rows * columns])
        });
        let answer = Tensor::cat(read.collect(), 2).matmul(values);
        let answer = answer.reshape([batch, heads, count, width / heads]).swap_dims(1, 2);
        self.output_proj.forward(answer.reshape([batch, count, width]), precision)
    }
}

/// `max(0, 1 − |t|)`
fn tent(t: Tensor<4>) -> Tensor<4> {
    relu(t.abs() * -1.0 + 1.0)
}

/// From each pixel along an axis (0: rows, 1: columns) of a map of `length` pixels there to every place of the pyramid, in pixels of the map.
///
/// # Shapes
/// → `[1, places, 1, length]`
fn distances(grids: &Grids, axis: usize, length: usize, device: &Device) -> Tensor<4> {
    let places = grids.levels().into_iter().flat_map(|[rows, columns]| {
        (0..rows * columns).map(move |place| {
            let (at, side) = if axis == 0 { (place / columns, rows) } else { (place % columns, columns) };
            (at as f64 + 0.5) / side as f64
        })
    });
    // The first pixel's centre lies half a pixel from the edge.
    let own = places.map(|share| share * length as f64 - 0.5);
    let values: Vec<f32> =
        own.flat_map(|own| (0..length).map(move |pixel| (own - pixel as f64) as f32)).collect();
    let count = values.len() / length;
    Tensor::from_data(TensorData::new(values, [1, count, 1, length]), device)
}

/// Offsets of the points of an untrained attention: those of a head lie in one direction, a pixel further each, the longer axis counted
/// (Zhu et al., 2021, appendix A.4).
fn rays(heads: usize, points: usize, device: &Device) -> Param<Tensor<1>> {
    let mut values = Vec::with_capacity(heads * Grids::LEVELS * points * 2);
    for head in 0..heads {
        let angle = std::f64::consts::TAU * head as f64 / heads as f64;
        let (x, y) = (angle.cos(), angle.sin());
        let longer = x.abs().max(y.abs());
        for point in (0..Grids::LEVELS).flat_map(|_| 1..=points) {
            values.extend([x, y].map(|part| (part / longer * point as f64) as f32));
        }
    }
    let shape = [values.len()];
    let fill = move |device: &Device, require_grad| {
        Tensor::from_data(TensorData::new(values.clone(), shape), device).set_require_grad(require_grad)
    };
    Param::uninitialized(ParamId::new(), fill, device.clone(), true, shape.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{State, with_state};

    const WIDTH: usize = 12;

    fn fixture() -> State {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/deformable_attention.safetensors");
        crate::read_arrays(path.as_ref()).unwrap().0
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.inner().into_data().try_into_vec().unwrap()
    }

    fn assert_close(what: &str, ours: &[f32], theirs: &[f32]) {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        let largest = theirs.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() <= 1e-4 * largest, "{what}: {ours}, not {theirs}");
        }
    }

    #[test]
    fn reading_and_its_gradients_are_those_of_grid_sample() {
        let (device, fixture) = (Device::flex().autodiff(), fixture());
        let state = fixture
            .iter()
            .filter_map(|(name, array)| Some((name.strip_prefix("state.")?.to_owned(), array.clone())));
        let attention = DeformableAttention::new(WIDTH, 3, 4, &device);
        let attention = with_state(attention, state.collect()).unwrap();
        let tensor = |name: &str| {
            let array = &fixture[name];
            Tensor::<3>::from_data(TensorData::new(array.values.clone(), array.shape.clone()), &device)
        };
        let (queries, maps) = (tensor("queries").require_grad(), tensor("values").require_grad());
        let grids = Grids::of([[3, 5], [2, 3], [1, 2]]);
        let answer = attention.forward(queries.clone(), maps.clone(), &grids, Precision::F32);
        assert_close("answer", &values(answer.clone()), &fixture["answer"].values);

        let gradients = (answer * tensor("cotangent")).sum().backward();
        let offsets = attention.sampling_offsets.weight.val();
        for (name, gradient) in [
            ("by_queries", values(queries.grad(&gradients).unwrap())),
            ("by_values", values(maps.grad(&gradients).unwrap())),
            ("by_offsets", values(offsets.grad(&gradients).unwrap())),
        ] {
            assert_close(name, &gradient, &fixture[name].values);
        }
    }

    #[test]
    fn points_of_an_untrained_attention_lie_on_rays() {
        let offsets = values(rays(4, 2, &Device::flex()).val());
        let first_map = |head: usize| offsets[head * 12..][..4].iter().map(|x| x.round()).collect::<Vec<_>>();
        assert_eq!(first_map(0), [1.0, 0.0, 2.0, 0.0]);
        assert_eq!(first_map(1), [0.0, 1.0, 0.0, 2.0]);
        assert_eq!(offsets[..4], offsets[4..8], "every map has the same");
    }
}
