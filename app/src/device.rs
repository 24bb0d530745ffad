//! `--device`: from a word to a device.

use anyhow::{Result, bail, ensure};
use archaeo_ops::Precision;
use burn::tensor::Device;
#[cfg(any(feature = "cuda", feature = "metal", feature = "rocm", feature = "vulkan", feature = "wgpu"))]
use burn::tensor::DeviceType;

/// Names of devices, each of a feature of the same name.
const BESIDE_THE_CPU: [&str; 5] = ["vulkan", "wgpu", "metal", "cuda", "rocm"];

/// The device of a name, to compute in each of `precisions`.
///
/// # Errors
/// A name that is not known, a device that this program was built without or that the machine has not, or one that does
/// not compute in such a precision.
pub fn by_name(name: &str, precisions: &[Precision]) -> Result<Device> {
    let device = named(name)?;
    rounds(name, precisions)?;
    Ok(device)
}

fn named(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "vulkan")]
        "vulkan" => {
            present(name, DeviceType::Vulkan, || Device::vulkan(burn::tensor::DeviceKind::DefaultDevice))
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => present(name, DeviceType::Wgpu, || Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "metal")]
        "metal" => {
            present(name, DeviceType::Metal, || Device::metal(burn::tensor::DeviceKind::DefaultDevice))
        }
        #[cfg(feature = "cuda")]
        "cuda" => present(name, DeviceType::Cuda, || Device::cuda(0)),
        #[cfg(feature = "rocm")]
        "rocm" => present(name, DeviceType::Rocm, || Device::rocm(0)),
        _ if BESIDE_THE_CPU.contains(&name) => bail!(
            "this program was built without {name}; build it with `cargo build --release --features {name}`, or use --device cpu"
        ),
        _ => bail!("there is no device called `{name}`; use cpu, {}", BESIDE_THE_CPU.join(", ")),
    }
}

/// Burn opens a device at its first tensor, and panics where there is none; here it can still be said.
#[cfg(any(feature = "cuda", feature = "metal", feature = "rocm", feature = "vulkan", feature = "wgpu"))]
fn present(name: &str, kind: DeviceType, device: impl FnOnce() -> Device) -> Result<Device> {
    ensure!(
        !Device::enumerate(kind).is_empty(),
        "this machine has no device for {name}; install the driver of one, or use --device cpu"
    );
    Ok(device())
}

fn rounds(name: &str, precisions: &[Precision]) -> Result<()> {
    ensure!(
        name == "cpu" || !precisions.contains(&Precision::Bf16),
        "the precision bf16 is there on the CPU alone, and --device {name} would compute in f32; ask for f32, or use --device cpu"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bfloat16_is_refused_where_it_would_be_ignored() {
        let both = [Precision::F32, Precision::Bf16];
        assert!(rounds("cpu", &both).is_ok() && rounds("vulkan", &both[..1]).is_ok());
        let sentence = rounds("vulkan", &both).unwrap_err().to_string();
        assert!(sentence.contains("bf16") && sentence.contains("--device cpu"), "{sentence}");
    }
}
