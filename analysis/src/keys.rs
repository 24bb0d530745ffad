//! What is random, and for whom.

/// The key of a batch's random numbers: one seed, and each image's identity, so that what is drawn for an image does not
/// depend on its batch.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Identity of each image of the batch, such as its index within the split.
    pub images: &'a [u64],
}
