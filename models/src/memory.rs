//! A lower bound on a model's memory, so that what cannot fit is refused before anything is allocated.

use std::fs;

use thiserror::Error;

use crate::architectures::NetworkSpec;

/// More memory is needed than is available.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("takes at least {} of memory, and {} are all there is", gigabytes(*needed), gigabytes(*available))]
pub struct TooLarge {
    /// Bytes needed.
    pub needed: f64,
    /// Bytes available to this process.
    pub available: f64,
}

fn gigabytes(bytes: f64) -> String {
    format!("{:.1} GB", bytes / 1e9)
}

/// Refuses a need for more bytes than this process may use, by the machine's memory, its control group or its address space.
/// Where the system does not report a limit, nothing is refused.
///
/// # Errors
/// If `needed` exceeds the limit.
pub fn check_memory(needed: f64) -> Result<(), TooLarge> {
    match available_memory() {
        Some(available) if needed > available => Err(TooLarge { needed, available }),
        _ => Ok(()),
    }
}

fn available_memory() -> Option<f64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(1024.0 * line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()?)
    });
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<f64>().ok());
    let space = read("/proc/self/limits").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    });
    [machine, group, space].into_iter().flatten().reduce(f64::min)
}

impl NetworkSpec {
    /// Bytes of one image with sides of `image_size` pixels on its way into the network: as bytes, as floats, and as input of the
    /// first block. A lower bound for a forward pass.
    pub fn least_bytes_per_image(&self, image_size: usize) -> f64 {
        let pixels = image_size as f64 * image_size as f64;
        3.0 * pixels * (1.0 + 4.0) + 4.0 * self.values_of_a_block(image_size)
    }

    /// Input values of the first block for one image; no later block has more.
    pub fn values_of_a_block(&self, image_size: usize) -> f64 {
        self.sizes().values_of_a_block(image_size)
    }

    /// Number of blocks with as many input values as the first.
    pub fn largest_blocks(&self) -> usize {
        self.sizes().largest_blocks()
    }
}

/// Input values of the first block of a transformer on patches.
pub(crate) fn values_of_tokens(image_size: usize, patch_size: usize, width: usize) -> f64 {
    (image_size as f64 / patch_size.max(1) as f64).floor().powi(2) * width as f64
}

/// Input values of a residual network's first block: at least sixteen channels, at a quarter of the side or more.
pub(crate) fn values_of_maps(image_size: usize) -> f64 {
    values_of_tokens(image_size, 4, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_its_pixels_and_its_tokens() {
        let vit = NetworkSpec::named("vit_base_patch16_224", 1000, 224).unwrap();
        let expected = 3.0 * 224.0 * 224.0 * 5.0 + 4.0 * 196.0 * 768.0;
        assert_eq!(vit.least_bytes_per_image(224), expected);
        let resnet = NetworkSpec::named("resnet50", 1000, 224).unwrap();
        assert!(resnet.least_bytes_per_image(65536) > 6e10);
    }

    #[test]
    fn what_no_machine_has_is_refused_with_both_sizes() {
        assert_eq!(check_memory(1e6), Ok(()));
        if available_memory().is_some() {
            let sentence = check_memory(1e18).unwrap_err().to_string();
            assert!(sentence.starts_with("takes at least 1000000000.0 GB of memory, and "), "{sentence}");
        }
    }
}
