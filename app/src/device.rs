//! `--device`: from a word to a device.

use anyhow::{Result, bail};
use burn::tensor::Device;

/// The device of a name.
///
/// # Errors
/// A name that is not known, or a device that this program was built without.
pub fn by_name(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "rocm")]
        "rocm" => Ok(Device::rocm(0)),
        "vulkan" | "wgpu" | "metal" | "cuda" | "rocm" => bail!(
            "this program was built without {name}; build it with `cargo build --release --features {name}`, or use --device cpu"
        ),
        other => bail!("there is no device called `{other}`; use cpu, vulkan, wgpu, metal, cuda or rocm"),
    }
}
