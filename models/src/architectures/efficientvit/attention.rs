//! Cascaded group attention within windows (Liu et al., 2023, section 3.1, equations 2 to 4).

use archaeo_ops::{self as ops, ChannelEpilogue, Precision};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::layers::ConvNorm;
use crate::layers::zeros;
use crate::pass::Pass;
use crate::probe::AttentionSite;

/// Where the projection has its ReLU: a place in the list of its layers, without arrays.
#[derive(Module, Debug)]
pub struct Relu;

/// Attention whose heads form a cascade: head `h` reads its own share of the channels plus the output of head `h − 1`.
#[derive(Module, Debug)]
pub struct CascadedGroupAttention {
    /// Query, key and value of each head, `[2 · key_dim + value_dim, value_dim, 1, 1]`.
    pub qkvs: Vec<ConvNorm>,
    /// Convolution on the queries of each head, `[key_dim, 1, kernel, kernel]`.
    pub dws: Vec<ConvNorm>,
    /// Mixes the heads after a ReLU, `[width, width, 1, 1]`.
    pub proj: (Relu, ConvNorm),
    /// `[heads, side²]`: added to the scaled score of a query and a key by how many rows and columns they are apart, in reading
    /// order.
    pub attention_biases: Param<Tensor<2>>,
    key_dim: usize,
}

impl CascadedGroupAttention {
    /// Attention with placeholder weights, for windows of side `side`; one head per kernel.
    pub(super) fn new(width: usize, key_dim: usize, kernels: &[usize], side: usize, device: &Device) -> Self {
        let value_dim = width / kernels.len();
        Self {
            qkvs: kernels
                .iter()
                .map(|_| ConvNorm::pointwise(value_dim, 2 * key_dim + value_dim, device))
                .collect(),
            dws: kernels.iter().map(|&kernel| ConvNorm::depthwise(key_dim, kernel, 1, device)).collect(),
            proj: (Relu, ConvNorm::pointwise(width, width, device).closing_branch(device)),
            attention_biases: zeros([kernels.len(), side * side], device),
            key_dim,
        }
    }

    /// The tokens of a map, `[batch, tokens, width]` → `[batch, width, rows, columns]`, with `then` after the projection. The
    /// probe sees the heads one by one, and then all of them.
    ///
    /// A map that windows do not tile is padded with zeros. Batch norms within the windows see the padding, that of the
    /// projection does not (in timm it does, which matters in training alone).
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        site: &AttentionSite,
        then: ChannelEpilogue,
        pass: &mut Pass,
    ) -> Tensor<4> {
        let [batch, tokens, width] = x.dims();
        let heads = self.qkvs.len();
        let value_dim = width / heads;
        let window = site.window.as_ref().expect("it attends within windows");
        let ([height, breadth], places) = (window.size, window.area());
        let windows = window.count(site.grid);
        let tiled = windows * places == tokens && windows == 1;
        let at_places = window.tokens(site.grid);

        let x = if tiled { x } else { ops::gather_rows(x, &at_places) };
        let on_map = |values: Tensor<3>, channels: usize| {
            values.reshape([batch * windows, height, breadth, channels]).permute([0, 3, 1, 2])
        };
        let shares = on_map(x, width);
        let bias = self.score_biases(window.size);
        let mut place_of = vec![None; tokens];
        for (place, token) in at_places.iter().enumerate() {
            token.iter().for_each(|&token| place_of[token] = Some(place));
        }

        let wanted = pass.probe.wants_attention(site);
        let (mut weights, mut outputs) = (Vec::new(), Vec::new());
        let mut previous: Option<Tensor<3>> = None;
        for head in 0..heads {
            let own = shares.clone().narrow(1, head * value_dim, value_dim);
            let input = match previous {
                Some(previous) => ops::add(on_map(previous, value_dim), own),
                None => own,
            };
            let packed = self.packed(head, input, pass);
            let (bias, precision) = (Some(bias.clone().narrow(1, head, 1)), pass.precision);
            let scale = (self.key_dim as f64).powf(-0.5);
            let context = if wanted {
                let own = ops::self_attention_weights(packed.clone(), bias, scale, precision);
                let own = pass.probe.cascade_attention(site, head, own);
                weights.push(own.clone());
                ops::self_attention_context(own, packed, precision)
            } else {
                ops::self_attention(packed, bias, scale, precision)
            };
            let padded = context.dims()[3];
            let output = context.reshape([batch, windows * places, padded]).narrow(2, 0, value_dim);
            let output = pass.probe.cascade_output(site, head, output);
            outputs.push(if tiled { output.clone() } else { ops::gather_rows(output.clone(), &place_of) });
            previous = Some(output);
        }
        if wanted {
            pass.probe.attention(site, Tensor::cat(weights, 1));
        }
        let gathered = Tensor::cat(outputs, 2).reshape([batch, tokens, heads, value_dim]).swap_dims(1, 2);
        let gathered = pass.probe.heads(site, gathered).swap_dims(1, 2);
        let [rows, columns] = site.grid;
        let map = gathered.reshape([batch, rows, columns, width]).permute([0, 3, 1, 2]);
        self.proj.1.forward(ops::relu(map), then, pass)
    }

    /// Query, key and value of one head, `[batch · windows, value_dim, height, width]` → `[batch · windows, places, 3, 1, d]`.
    ///
    /// The kernels of attention take one width `d` for all three; what is narrower is filled up with zeros, which change no
    /// score and stay apart from the values.
    fn packed(&self, head: usize, input: Tensor<4>, pass: &mut Pass) -> Tensor<5> {
        let [rows, value_dim, height, width] = input.dims();
        let (key_dim, places) = (self.key_dim, height * width);
        let d = key_dim.max(value_dim);
        let qkv = self.qkvs[head].forward(input, ChannelEpilogue::default(), pass);
        let query =
            self.dws[head].forward(qkv.clone().narrow(1, 0, key_dim), ChannelEpilogue::default(), pass);
        let query = query.reshape([rows, key_dim, places]);
        let others =
            qkv.reshape([rows, 2 * key_dim + value_dim, places]).narrow(1, key_dim, key_dim + value_dim);
        let parts = Tensor::cat(vec![query, others], 1);
        let part = |first: usize, length: usize| (0..d).map(move |at| (at < length).then_some(first + at));
        let sources: Vec<Option<usize>> =
            part(0, key_dim).chain(part(key_dim, key_dim)).chain(part(2 * key_dim, value_dim)).collect();
        let parts = if d == key_dim && d == value_dim { parts } else { ops::gather_rows(parts, &sources) };
        parts.reshape([rows, 3, 1, d, places]).permute([0, 4, 1, 2, 3])
    }

    /// `[1, heads, places, places]`
    fn score_biases(&self, [height, width]: [usize; 2]) -> Tensor<4> {
        let table = self.attention_biases.val();
        let [heads, offsets] = table.dims();
        let (places, side) = (height * width, offsets.isqrt());
        let offset = |index: usize| {
            let (query, key) = (index / places, index % places);
            let rows = (query / width).abs_diff(key / width);
            let columns = (query % width).abs_diff(key % width);
            (rows * side + columns) as i64
        };
        let index: Vec<i64> = (0..places * places).map(offset).collect();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [places * places]), &table.device());
        table.select(1, index).reshape([1, heads, places, places])
    }

    /// What the outputs of one head add to the residual stream, `[batch, tokens, value_dim]` → `[batch, tokens, width]`: the
    /// projection's shift is left out. At evaluation.
    pub(super) fn head_contribution(
        &self,
        head: usize,
        output: Tensor<3>,
        precision: Precision,
    ) -> Tensor<3> {
        let value_dim = output.dims()[2];
        let folded = self.proj.1.bn.folded(&self.proj.1.conv);
        let [width, inputs, ..] = folded.weight.dims();
        let weight = folded.weight.reshape([width, inputs]).narrow(1, head * value_dim, value_dim);
        ops::linear(ops::relu(output), weight, None, precision)
    }
}
