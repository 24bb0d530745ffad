//! Arrays with a text about them, as one file in memory.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;

/// Numbers in the precision in which they are sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Floats that are rounded to 16 bits.
    F16(Vec<f32>),
    /// 32-bit integers.
    I32(Vec<i32>),
}

/// A named array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its name.
    pub name: String,
    /// Its shape, the last axis fastest.
    pub shape: Vec<usize>,
    /// Its values.
    pub numbers: Numbers,
}

/// Arrays, and all that is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrays {
    /// The arrays.
    pub arrays: Vec<Array>,
    /// What is known of them, as JSON.
    pub about: Value,
}

impl Array {
    /// Of 32-bit floats.
    pub fn f32(name: impl Into<String>, shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        Self { name: name.into(), shape: shape.into(), numbers: Numbers::F32(values) }
    }
}

impl Numbers {
    fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F16(_) => Dtype::F16,
            Self::I32(_) => Dtype::I32,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F16(values) => {
                values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect()
            }
            Self::I32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

impl Arrays {
    /// A safetensors file, with the text as the entry `json` of its metadata.
    ///
    /// # Panics
    /// If an array has another number of values than its shape says.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes: Vec<Vec<u8>> = self.arrays.iter().map(|array| array.numbers.bytes()).collect();
        let views = self.arrays.iter().zip(&bytes).map(|(array, bytes)| {
            let view = TensorView::new(array.numbers.dtype(), array.shape.clone(), bytes);
            (array.name.as_str(), view.expect("an array has as many values as its shape says"))
        });
        let about = HashMap::from([("json".to_owned(), self.about.to_string())]);
        serialize(views, Some(about)).expect("arrays of such types can be written")
    }
}
