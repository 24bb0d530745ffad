//! The bridge from Burn's tensors to the `archaeo-kernels` crate, with gradients, for tensors on the CPU.
//!
//! Three layers: [`KernelOperations`] names the operations for Burn's dispatch, `flex` runs them on CPU tensors, and
//! `autodiff` records them with their backward passes. Each operation has one differentiable output.

mod autodiff;
mod flex;

use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Tensor};

/// Whether tensors of this device live where the kernels can read them.
pub(crate) fn serve(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// Operations that have kernels of their own on the CPU.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait KernelOperations: Backend {
    /// `x` `[rows, in]`, `weight` `[out, in]`, `bias` `[out]` → `[rows, out]`
    fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `x` `[rows, features]`, `weight` and `bias` `[features]` → like `x`
    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Any shape, kept.
    fn kernel_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// As [`crate::linear`], of rows.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_linear(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}

/// As [`crate::layer_norm`], of rows.
pub(crate) fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_layer_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon as f32,
    ))
}

/// As [`crate::gelu`].
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as KernelOperations>::kernel_gelu(x.into_dispatch()))
}
