//! Labels as indices into classes other than the data's own.

use super::Dataset;

/// Label of an image whose class has no output: it must be skipped and is never a class.
pub const NO_OUTPUT: usize = usize::MAX;

impl Dataset {
    /// Makes every label the index that `output_of` gives for its class, and `classes` the classes: the outputs of a model,
    /// say. Images of a class without one get [`NO_OUTPUT`]; callers must skip them.
    ///
    /// # Panics
    /// If there is not one entry for each of the data's classes.
    pub fn relabel(&mut self, output_of: &[Option<usize>], classes: Vec<String>) {
        assert_eq!(output_of.len(), self.classes.len(), "one output for each class");
        let labels: Vec<usize> = output_of.iter().map(|output| output.unwrap_or(NO_OUTPUT)).collect();
        self.splits.values_mut().for_each(|split| split.relabel(&labels));
        self.classes = classes;
    }
}
