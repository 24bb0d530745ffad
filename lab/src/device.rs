//! From a word to a device.

use archaeo_ops::Precision;
use burn::tensor::Device;
#[cfg(any(feature = "cuda", feature = "metal", feature = "rocm", feature = "vulkan", feature = "wgpu"))]
use burn::tensor::DeviceType;
use thiserror::Error;

/// Names of devices, each of a feature of the same name.
const BESIDES_THE_CPU: [&str; 5] = ["vulkan", "wgpu", "metal", "cuda", "rocm"];

/// A device that cannot be computed on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// A name that is not known.
    #[error("there is no device called `{0}`; use cpu, {devices}", devices = BESIDES_THE_CPU.join(", "))]
    Unknown(String),
    /// One that this build leaves out.
    #[error(
        "this program was built without {0}; build it with `cargo build --release --features {0}`, or use --device cpu"
    )]
    LeftOut(String),
    /// One that the machine does not have.
    #[error("this machine has no device for {0}; install the driver of one, or use --device cpu")]
    Absent(String),
    /// One that would ignore the precision.
    #[error(
        "the precision bf16 is there on the CPU alone, and --device {0} would compute in f32; ask for f32, or use --device cpu"
    )]
    Precision(String),
}

/// The device of a name, to compute in each of `precisions`.
///
/// # Errors
/// See [`DeviceError`].
pub fn by_name(name: &str, precisions: &[Precision]) -> Result<Device, DeviceError> {
    let device = named(name)?;
    rounds(name, precisions)?;
    Ok(device)
}

fn rounds(name: &str, precisions: &[Precision]) -> Result<(), DeviceError> {
    match name != "cpu" && precisions.contains(&Precision::Bf16) {
        true => Err(DeviceError::Precision(name.into())),
        false => Ok(()),
    }
}

fn named(name: &str) -> Result<Device, DeviceError> {
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
        _ if BESIDES_THE_CPU.contains(&name) => Err(DeviceError::LeftOut(name.into())),
        _ => Err(DeviceError::Unknown(name.into())),
    }
}

/// Burn opens a device at its first tensor, and panics where there is none; here it can still be said.
#[cfg(any(feature = "cuda", feature = "metal", feature = "rocm", feature = "vulkan", feature = "wgpu"))]
fn present(name: &str, kind: DeviceType, device: impl FnOnce() -> Device) -> Result<Device, DeviceError> {
    match Device::enumerate(kind).is_empty() {
        true => Err(DeviceError::Absent(name.into())),
        false => Ok(device()),
    }
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

    #[test]
    fn a_name_that_is_not_known_is_refused_with_those_that_are() {
        let sentence = by_name("abacus", &[]).unwrap_err().to_string();
        assert!(sentence.contains("`abacus`") && sentence.contains("cpu, vulkan, wgpu"), "{sentence}");
        #[cfg(not(feature = "rocm"))]
        assert_eq!(by_name("rocm", &[]).unwrap_err(), DeviceError::LeftOut("rocm".into()));
    }
}
