//! The operations on CPU tensors: shapes read, outputs allocated, kernels called.

use archaeo_kernels::{
    self as kernels, Activation, BatchNormGradients, BatchStatistics, ChannelEpilogue, ChannelShape,
    Convolution, ConvolutionEpilogue, Heads, HeadsMut, HeadsShape, Pooling, Precision, ScoreBias, Weight,
    WeightLayout,
};
use burn::backend::{DType, Flex, TensorMetadata};
use burn_flex::{FlexTensor, Layout};
use burn_std::{Bytes, Shape};

use super::{FusedConvolution, KernelOperations};

const LAYOUT: WeightLayout = WeightLayout::OutputInput;

/// The values of a tensor, which must be contiguous.
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("made contiguous on entry")
}

/// The same tensor with its values in order.
pub(super) fn contiguous(x: FlexTensor) -> FlexTensor {
    assert_eq!(x.dtype(), DType::F32, "kernels compute in 32-bit floats");
    if x.as_slice::<f32>().is_some() { x } else { x.to_contiguous() }
}

/// A tensor of `values`.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// Room for `length` results, which a kernel then writes all of.
pub(super) fn room(length: usize) -> Vec<f32> {
    kernels::unspecified(length)
}

fn matrix_shape(x: &FlexTensor) -> [usize; 2] {
    let shape = x.shape();
    [shape[0], shape[1]]
}

pub(super) fn weight(x: &FlexTensor) -> Weight<'_> {
    let [outputs, inputs] = matrix_shape(x);
    Weight::new(values(x), inputs, outputs, LAYOUT)
}

/// `x · wᵀ + bias`, plus `residual` where there is one.
pub(super) fn linear(
    x: &FlexTensor,
    w: &FlexTensor,
    bias: &FlexTensor,
    residual: Option<&FlexTensor>,
    precision: Precision,
) -> FlexTensor {
    let ([rows, _], [outputs, _]) = (matrix_shape(x), matrix_shape(w));
    let mut y = room(rows * outputs);
    let residual = residual.map(values);
    kernels::linear_forward(values(x), weight(w), Some(values(bias)), residual, &mut y, precision);
    tensor(y, [rows, outputs])
}

pub(super) fn linear_input_gradient(dy: &FlexTensor, w: &FlexTensor, precision: Precision) -> FlexTensor {
    let ([rows, _], [_, inputs]) = (matrix_shape(dy), matrix_shape(w));
    let mut dx = room(rows * inputs);
    kernels::linear_input_gradient(values(dy), weight(w), None, &mut dx, precision);
    tensor(dx, [rows, inputs])
}

/// Gradients of weight and bias.
pub(super) fn linear_weight_gradient(
    x: &FlexTensor,
    dy: &FlexTensor,
    precision: Precision,
) -> (FlexTensor, FlexTensor) {
    let ([_, inputs], [_, outputs]) = (matrix_shape(x), matrix_shape(dy));
    let (mut dw, mut db) = (room(outputs * inputs), room(outputs));
    let shape = [inputs, outputs];
    kernels::linear_weight_gradient(values(x), values(dy), shape, LAYOUT, &mut dw, Some(&mut db), precision);
    (tensor(dw, [outputs, inputs]), tensor(db, [outputs]))
}

pub(super) fn gather_rows(x: &FlexTensor, sources: &[Option<usize>]) -> FlexTensor {
    let shape = x.shape();
    let mut y = room(shape[0] * sources.len() * shape[2]);
    kernels::gather_rows(values(x), [shape[1], shape[2]], sources, &mut y);
    tensor(y, [shape[0], sources.len(), shape[2]])
}

/// A layer norm's output, and the mean and reciprocal deviation of each row.
pub(super) fn layer_norm(
    x: &FlexTensor,
    weight: &FlexTensor,
    bias: &FlexTensor,
    epsilon: f32,
) -> (FlexTensor, [FlexTensor; 2]) {
    let [rows, features] = matrix_shape(x);
    let (mut y, mut mean, mut scale) = (room(rows * features), room(rows), room(rows));
    let affine = [values(weight), values(bias)];
    kernels::layer_norm_forward(values(x), affine, epsilon, &mut y, [&mut mean, &mut scale]);
    (tensor(y, [rows, features]), [tensor(mean, [rows]), tensor(scale, [rows])])
}

/// Gradients of input, weight and bias.
pub(super) fn layer_norm_gradients(
    x: &FlexTensor,
    weight: &FlexTensor,
    [mean, scale]: [&FlexTensor; 2],
    dy: &FlexTensor,
) -> [FlexTensor; 3] {
    let [rows, features] = matrix_shape(x);
    let (mut dx, mut dw, mut db) = (room(rows * features), room(features), room(features));
    let moments = [values(mean), values(scale)];
    kernels::layer_norm_backward(values(x), values(weight), moments, values(dy), &mut dx, [&mut dw, &mut db]);
    [tensor(dx, [rows, features]), tensor(dw, [features]), tensor(db, [features])]
}

pub(super) fn activation(x: &FlexTensor, activation: Activation) -> FlexTensor {
    let mut y = room(values(x).len());
    kernels::activation_forward(activation, values(x), &mut y);
    tensor(y, x.shape())
}

pub(super) fn activation_gradient(x: &FlexTensor, activation: Activation, dy: &FlexTensor) -> FlexTensor {
    let mut dx = room(values(x).len());
    kernels::activation_backward(activation, values(x), values(dy), &mut dx);
    tensor(dx, x.shape())
}

pub(super) fn swiglu(x: &FlexTensor) -> FlexTensor {
    let [rows, twice] = matrix_shape(x);
    let mut y = room(rows * twice / 2);
    kernels::swiglu_forward(values(x), twice / 2, &mut y);
    tensor(y, [rows, twice / 2])
}

pub(super) fn swiglu_gradient(x: &FlexTensor, dy: &FlexTensor) -> FlexTensor {
    let [_, twice] = matrix_shape(x);
    let mut dx = room(values(x).len());
    kernels::swiglu_backward(values(x), twice / 2, values(dy), &mut dx);
    tensor(dx, x.shape())
}

/// The output of a fully connected layer and an activation, and the activation's input where it is to be kept.
pub(super) fn linear_activation(
    x: &FlexTensor,
    w: &FlexTensor,
    bias: &FlexTensor,
    activation: Activation,
    keep: bool,
    precision: Precision,
) -> (FlexTensor, Option<FlexTensor>) {
    let ([rows, _], [outputs, _]) = (matrix_shape(x), matrix_shape(w));
    let mut y = room(rows * outputs);
    let mut input = keep.then(|| room(rows * outputs));
    kernels::linear_activation_forward(
        values(x),
        weight(w),
        Some(values(bias)),
        activation,
        input.as_deref_mut(),
        &mut y,
        precision,
    );
    (tensor(y, [rows, outputs]), input.map(|input| tensor(input, [rows, outputs])))
}

/// As [`linear_input_gradient`], times the derivative of the activation that the layer's input came from.
pub(super) fn linear_input_gradient_through(
    dy: &FlexTensor,
    w: &FlexTensor,
    (activation, input): (Activation, &FlexTensor),
    precision: Precision,
) -> FlexTensor {
    let ([rows, _], [_, inputs]) = (matrix_shape(dy), matrix_shape(w));
    let mut dx = room(rows * inputs);
    let activation = Some((activation, values(input)));
    kernels::linear_input_gradient(values(dy), weight(w), activation, &mut dx, precision);
    tensor(dx, [rows, inputs])
}

/// The vectors of a packed projection, `[batch, tokens, 3, heads, head_dim]`.
fn heads_shape(packed: &FlexTensor) -> HeadsShape {
    let shape = packed.shape();
    assert_eq!(shape[2], 3, "a packed projection holds queries, keys and values");
    HeadsShape { batch: shape[0], tokens: shape[1], heads: shape[3], head_dim: shape[4] }
}

fn context_shape(heads: HeadsShape) -> [usize; 4] {
    [heads.batch, heads.tokens, heads.heads, heads.head_dim]
}

/// A bias as the kernels take it, a list of none or one.
fn score_bias(bias: Option<&FlexTensor>) -> Vec<ScoreBias<'_>> {
    let one = |bias| {
        let shape = FlexTensor::shape(bias);
        ScoreBias::new(values(bias), [shape[0], shape[1], shape[2], shape[3]])
    };
    bias.map(one).into_iter().collect()
}

/// Room for the gradient of the scores, where there is a bias to receive it.
fn score_gradient(weights: &FlexTensor, bias: Option<&FlexTensor>) -> Option<Vec<f32>> {
    bias.map(|_| room(values(weights).len()))
}

/// Gradient of a bias: that of the scores, summed over the batch in its order.
fn bias_gradient(bias: &FlexTensor, dscores: &[f32]) -> FlexTensor {
    let mut sum = room(values(bias).len());
    kernels::sum_of_parts(dscores, &mut sum);
    tensor(sum, bias.shape())
}

pub(super) fn self_attention_weights(
    packed: &FlexTensor,
    bias: Option<&FlexTensor>,
    scale: f32,
    precision: Precision,
) -> FlexTensor {
    let shape = heads_shape(packed);
    let HeadsShape { batch, heads, tokens, .. } = shape;
    let [query, key, _] = Heads::packed(values(packed), shape);
    let mut weights = room(batch * heads * tokens * tokens);
    kernels::attention_weights(query, key, scale, &score_bias(bias), &mut weights, precision);
    tensor(weights, [batch, heads, tokens, tokens])
}

/// Gradients of the packed projection, where the part of the values is zero, and of the bias.
pub(super) fn self_attention_weights_gradient(
    packed: &FlexTensor,
    bias: Option<&FlexTensor>,
    weights: &FlexTensor,
    scale: f32,
    dweights: &FlexTensor,
    precision: Precision,
) -> (FlexTensor, Option<FlexTensor>) {
    let shape = heads_shape(packed);
    let [query, key, _] = Heads::packed(values(packed), shape);
    let mut gradient = vec![0.0; values(packed).len()];
    let [dquery, dkey, _] = HeadsMut::packed(&mut gradient, shape);
    let mut dscores = score_gradient(weights, bias);
    kernels::attention_weights_backward(
        values(weights),
        values(dweights),
        [query, key],
        scale,
        dscores.as_deref_mut(),
        [dquery, dkey],
        precision,
    );
    let dbias = bias.zip(dscores).map(|(bias, dscores)| bias_gradient(bias, &dscores));
    (tensor(gradient, packed.shape()), dbias)
}

pub(super) fn self_attention_context(
    weights: &FlexTensor,
    packed: &FlexTensor,
    precision: Precision,
) -> FlexTensor {
    let shape = heads_shape(packed);
    let [_, _, value] = Heads::packed(values(packed), shape);
    let mut context = room(values(packed).len() / 3);
    let target = HeadsMut::merged(&mut context, shape);
    kernels::attention_context(values(weights), value, target, precision);
    tensor(context, context_shape(shape))
}

/// Gradients of the weights and of the packed projection; its parts of queries and keys are zero.
pub(super) fn self_attention_context_gradients(
    weights: &FlexTensor,
    packed: &FlexTensor,
    dcontext: &FlexTensor,
    precision: Precision,
) -> [FlexTensor; 2] {
    let shape = heads_shape(packed);
    let [_, _, value] = Heads::packed(values(packed), shape);
    let (mut dweights, mut gradient) = (room(values(weights).len()), vec![0.0; values(packed).len()]);
    let [_, _, dvalue] = HeadsMut::packed(&mut gradient, shape);
    let dcontext = Heads::merged(values(dcontext), shape);
    kernels::attention_context_backward(values(weights), value, dcontext, &mut dweights, dvalue, precision);
    [tensor(dweights, weights.shape()), tensor(gradient, packed.shape())]
}

/// The context, and the weights where they are to be kept.
pub(super) fn self_attention(
    packed: &FlexTensor,
    bias: Option<&FlexTensor>,
    scale: f32,
    keep: bool,
    precision: Precision,
) -> (FlexTensor, Option<FlexTensor>) {
    let shape = heads_shape(packed);
    let HeadsShape { batch, heads, tokens, .. } = shape;
    let mut context = room(values(packed).len() / 3);
    let mut weights = keep.then(|| room(batch * heads * tokens * tokens));
    kernels::attention_forward(
        Heads::packed(values(packed), shape),
        scale,
        &score_bias(bias),
        weights.as_deref_mut(),
        HeadsMut::merged(&mut context, shape),
        precision,
    );
    let weights = weights.map(|weights| tensor(weights, [batch, heads, tokens, tokens]));
    (tensor(context, context_shape(shape)), weights)
}

/// Gradients of the packed projection and of the bias.
pub(super) fn self_attention_gradient(
    packed: &FlexTensor,
    bias: Option<&FlexTensor>,
    weights: &FlexTensor,
    scale: f32,
    dcontext: &FlexTensor,
    precision: Precision,
) -> (FlexTensor, Option<FlexTensor>) {
    let shape = heads_shape(packed);
    let mut gradient = room(values(packed).len());
    let mut dscores = score_gradient(weights, bias);
    kernels::attention_backward(
        values(weights),
        Heads::packed(values(packed), shape),
        scale,
        Heads::merged(values(dcontext), shape),
        dscores.as_deref_mut(),
        HeadsMut::packed(&mut gradient, shape),
        precision,
    );
    let dbias = bias.zip(dscores).map(|(bias, dscores)| bias_gradient(bias, &dscores));
    (tensor(gradient, packed.shape()), dbias)
}

fn convolution(x: &FlexTensor, weight: &FlexTensor, [stride, padding, groups]: [usize; 3]) -> Convolution {
    let (x, weight) = (x.shape(), weight.shape());
    Convolution {
        batch: x[0],
        in_channels: x[1],
        out_channels: weight[0],
        input_size: [x[2], x[3]],
        kernel: [weight[2], weight[3]],
        stride: [stride; 2],
        padding: [padding; 2],
        groups,
    }
}

/// The convolution, then what `epilogue` says.
fn convolved(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    epilogue: ConvolutionEpilogue,
    precision: Precision,
) -> FlexTensor {
    let shape = convolution(x, weight, geometry);
    let [height, width] = shape.output_size();
    let mut y = room(shape.output_len());
    kernels::convolution_forward(&shape, values(x), values(weight), epilogue, &mut y, precision);
    tensor(y, [shape.batch, shape.out_channels, height, width])
}

pub(super) fn conv2d(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    precision: Precision,
) -> FlexTensor {
    convolved(x, weight, geometry, ConvolutionEpilogue::default(), precision)
}

/// As [`conv2d`], then by channel `· scale + shift`, plus `residual`, then ReLU.
pub(super) fn conv2d_scale_shift(
    x: &FlexTensor,
    weight: &FlexTensor,
    [scale, shift]: [&FlexTensor; 2],
    residual: Option<&FlexTensor>,
    settings: FusedConvolution,
) -> FlexTensor {
    let FusedConvolution { geometry, relu, precision } = settings;
    let (scale, bias) = (Some(values(scale)), Some(values(shift)));
    let epilogue = ConvolutionEpilogue { scale, bias, residual: residual.map(values), relu };
    convolved(x, weight, geometry, epilogue, precision)
}

pub(super) fn conv2d_input_gradient(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    dy: &FlexTensor,
    precision: Precision,
) -> FlexTensor {
    let shape = convolution(x, weight, geometry);
    let mut dx = room(shape.input_len());
    kernels::convolution_input_gradient(&shape, values(dy), values(weight), &mut dx, precision);
    tensor(dx, x.shape())
}

pub(super) fn conv2d_weight_gradient(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    dy: &FlexTensor,
    precision: Precision,
) -> FlexTensor {
    let shape = convolution(x, weight, geometry);
    let mut dw = room(shape.weight_len());
    kernels::convolution_weight_gradient(&shape, values(x), values(dy), &mut dw, None, precision);
    tensor(dw, weight.shape())
}

fn pooling(shape: &Shape, [kernel, stride, padding]: [usize; 3]) -> Pooling {
    Pooling {
        input_size: [shape[2], shape[3]],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

/// The largest value of each window, and where in its plane it stands.
pub(super) fn max_pool2d(x: &FlexTensor, window: [usize; 3]) -> (FlexTensor, Vec<u32>) {
    let shape = x.shape();
    let pooling = pooling(&shape, window);
    let [height, width] = pooling.output_size();
    let mut y = room(shape[0] * shape[1] * height * width);
    let mut indices = vec![0; y.len()];
    kernels::max_pool_forward(&pooling, values(x), &mut y, &mut indices);
    (tensor(y, [shape[0], shape[1], height, width]), indices)
}

pub(super) fn max_pool2d_gradient(
    shape: &Shape,
    window: [usize; 3],
    indices: &[u32],
    dy: &FlexTensor,
) -> FlexTensor {
    let mut dx = room(shape.num_elements());
    kernels::max_pool_backward(&pooling(shape, window), indices, values(dy), &mut dx);
    tensor(dx, shape.clone())
}

fn channel_shape(x: &FlexTensor) -> ChannelShape {
    let shape = x.shape();
    ChannelShape { batch: shape[0], channels: shape[1], positions: shape[2] * shape[3] }
}

/// What a batch norm leaves beside its output.
#[derive(Clone, Debug)]
pub(super) struct ChannelMoments {
    pub(super) mean: FlexTensor,
    pub(super) variance: FlexTensor,
    pub(super) reciprocal_deviation: FlexTensor,
}

pub(super) fn batch_norm(
    x: &FlexTensor,
    [weight, bias]: [&FlexTensor; 2],
    residual: Option<&FlexTensor>,
    epsilon: f32,
    relu: bool,
) -> (FlexTensor, ChannelMoments) {
    let shape = channel_shape(x);
    let channels = shape.channels;
    let mut y = room(values(x).len());
    let (mut mean, mut variance, mut reciprocal_deviation) = (room(channels), room(channels), room(channels));
    kernels::batch_norm_forward(
        &shape,
        values(x),
        [values(weight), values(bias)],
        epsilon,
        ChannelEpilogue { residual: residual.map(values), relu },
        &mut y,
        BatchStatistics {
            mean: &mut mean,
            variance: &mut variance,
            reciprocal_deviation: &mut reciprocal_deviation,
        },
    );
    let [mean, variance, reciprocal_deviation] =
        [mean, variance, reciprocal_deviation].map(|values| tensor(values, [channels]));
    (tensor(y, x.shape()), ChannelMoments { mean, variance, reciprocal_deviation })
}

/// Where the ReLU after a batch norm let through: see [`kernels::ReluMask`].
#[derive(Clone, Debug)]
pub(super) enum ReluMask {
    Absent,
    Output(FlexTensor),
    Bias(FlexTensor),
}

/// Gradients of input, weight, bias and, where there was one, residual.
pub(super) fn batch_norm_gradients(
    x: &FlexTensor,
    weight: &FlexTensor,
    moments: &ChannelMoments,
    relu: &ReluMask,
    dy: &FlexTensor,
    with_residual: bool,
) -> ([FlexTensor; 3], Option<FlexTensor>) {
    let shape = channel_shape(x);
    let (mut dx, mut dgamma, mut dbeta) = (room(values(x).len()), room(shape.channels), room(shape.channels));
    let mut dresidual = with_residual.then(|| room(values(x).len()));
    kernels::batch_norm_backward(
        &shape,
        values(x),
        values(weight),
        [values(&moments.mean), values(&moments.reciprocal_deviation)],
        match relu {
            ReluMask::Absent => kernels::ReluMask::Absent,
            ReluMask::Output(output) => kernels::ReluMask::Output(values(output)),
            ReluMask::Bias(bias) => kernels::ReluMask::Beta(values(bias)),
        },
        values(dy),
        BatchNormGradients {
            dx: &mut dx,
            dgamma: &mut dgamma,
            dbeta: &mut dbeta,
            dresidual: dresidual.as_deref_mut(),
        },
    );
    let channels = [shape.channels];
    let gradients = [tensor(dx, x.shape()), tensor(dgamma, channels), tensor(dbeta, channels)];
    (gradients, dresidual.map(|dresidual| tensor(dresidual, x.shape())))
}

/// Gradients of input and, where there was one, residual.
pub(super) fn scale_shift_gradients(
    scale: &FlexTensor,
    relu_output: Option<&FlexTensor>,
    dy: &FlexTensor,
    with_residual: bool,
) -> (FlexTensor, Option<FlexTensor>) {
    let mut dx = room(values(dy).len());
    let mut dresidual = with_residual.then(|| room(values(dy).len()));
    kernels::scale_shift_backward(
        &channel_shape(dy),
        values(scale),
        relu_output.map(values),
        values(dy),
        &mut dx,
        dresidual.as_deref_mut(),
    );
    (tensor(dx, dy.shape()), dresidual.map(|dresidual| tensor(dresidual, dy.shape())))
}

impl KernelOperations for Flex {
    fn kernel_linear(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        precision: Precision,
    ) -> FlexTensor {
        linear(&contiguous(x), &contiguous(weight), &contiguous(bias), None, precision)
    }

    fn kernel_linear_residual(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        precision: Precision,
    ) -> FlexTensor {
        let [x, weight, bias, residual] = [x, weight, bias, residual].map(contiguous);
        linear(&x, &weight, &bias, Some(&residual), precision)
    }

    fn kernel_gather_rows(x: FlexTensor, sources: Vec<Option<usize>>) -> FlexTensor {
        gather_rows(&contiguous(x), &sources)
    }

    fn kernel_layer_norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, epsilon: f32) -> FlexTensor {
        layer_norm(&contiguous(x), &contiguous(weight), &contiguous(bias), epsilon).0
    }

    fn kernel_activation(x: FlexTensor, activation: Activation) -> FlexTensor {
        self::activation(&contiguous(x), activation)
    }

    fn kernel_swiglu(x: FlexTensor) -> FlexTensor {
        swiglu(&contiguous(x))
    }

    fn kernel_mlp(
        x: FlexTensor,
        first_weight: FlexTensor,
        first_bias: FlexTensor,
        second_weight: FlexTensor,
        second_bias: FlexTensor,
        activation: Activation,
        precision: Precision,
    ) -> FlexTensor {
        let [x, first_weight, first_bias] = [x, first_weight, first_bias].map(contiguous);
        let (hidden, _) = linear_activation(&x, &first_weight, &first_bias, activation, false, precision);
        linear(&hidden, &contiguous(second_weight), &contiguous(second_bias), None, precision)
    }

    fn kernel_mlp_residual(
        x: FlexTensor,
        first_weight: FlexTensor,
        first_bias: FlexTensor,
        second_weight: FlexTensor,
        second_bias: FlexTensor,
        residual: FlexTensor,
        activation: Activation,
        precision: Precision,
    ) -> FlexTensor {
        let [x, first_weight, first_bias, residual] = [x, first_weight, first_bias, residual].map(contiguous);
        let (hidden, _) = linear_activation(&x, &first_weight, &first_bias, activation, false, precision);
        let (second_weight, second_bias) = (contiguous(second_weight), contiguous(second_bias));
        linear(&hidden, &second_weight, &second_bias, Some(&residual), precision)
    }

    fn kernel_self_attention_weights(packed: FlexTensor, scale: f32, precision: Precision) -> FlexTensor {
        self_attention_weights(&contiguous(packed), None, scale, precision)
    }

    fn kernel_self_attention_context(
        weights: FlexTensor,
        packed: FlexTensor,
        precision: Precision,
    ) -> FlexTensor {
        self_attention_context(&contiguous(weights), &contiguous(packed), precision)
    }

    fn kernel_self_attention(packed: FlexTensor, scale: f32, precision: Precision) -> FlexTensor {
        self_attention(&contiguous(packed), None, scale, false, precision).0
    }

    fn kernel_biased_self_attention_weights(
        packed: FlexTensor,
        bias: FlexTensor,
        scale: f32,
        precision: Precision,
    ) -> FlexTensor {
        self_attention_weights(&contiguous(packed), Some(&contiguous(bias)), scale, precision)
    }

    fn kernel_biased_self_attention(
        packed: FlexTensor,
        bias: FlexTensor,
        scale: f32,
        precision: Precision,
    ) -> FlexTensor {
        self_attention(&contiguous(packed), Some(&contiguous(bias)), scale, false, precision).0
    }

    fn kernel_conv2d(
        x: FlexTensor,
        weight: FlexTensor,
        geometry: [usize; 3],
        precision: Precision,
    ) -> FlexTensor {
        conv2d(&contiguous(x), &contiguous(weight), geometry, precision)
    }

    fn kernel_max_pool2d(x: FlexTensor, window: [usize; 3]) -> FlexTensor {
        max_pool2d(&contiguous(x), window).0
    }

    fn kernel_batch_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f32,
        relu: bool,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let affine = [&contiguous(weight), &contiguous(bias)];
        let (y, moments) = batch_norm(&contiguous(x), affine, None, epsilon, relu);
        (y, moments.mean, moments.variance)
    }

    fn kernel_batch_norm_residual(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        epsilon: f32,
        relu: bool,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let affine = [&contiguous(weight), &contiguous(bias)];
        let (y, moments) = batch_norm(&contiguous(x), affine, Some(&contiguous(residual)), epsilon, relu);
        (y, moments.mean, moments.variance)
    }

    fn kernel_conv2d_scale_shift(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        settings: FusedConvolution,
    ) -> FlexTensor {
        let affine = [&contiguous(scale), &contiguous(shift)];
        conv2d_scale_shift(&contiguous(x), &contiguous(weight), affine, None, settings)
    }

    fn kernel_conv2d_scale_shift_residual(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        residual: FlexTensor,
        settings: FusedConvolution,
    ) -> FlexTensor {
        let (affine, residual) = ([&contiguous(scale), &contiguous(shift)], contiguous(residual));
        let (x, weight) = (contiguous(x), contiguous(weight));
        conv2d_scale_shift(&x, &weight, affine, Some(&residual), settings)
    }
}
