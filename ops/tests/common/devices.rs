//! The devices other than the CPU; the tests of `models/` take this file too.

use burn::tensor::Device;

/// The devices without kernels of ours that this build has: those of the features `ndarray` and `vulkan`.
#[allow(unused_mut, clippy::vec_init_then_push)] // which devices there are depends on the features
pub fn other_devices() -> Vec<Device> {
    let mut devices = Vec::new();
    #[cfg(feature = "ndarray")]
    #[allow(deprecated)] // Burn advises flex instead, which is what this one is to be compared with
    devices.push(Device::ndarray());
    #[cfg(feature = "vulkan")]
    devices.push(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice));
    devices
}
