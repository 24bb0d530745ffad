//! Views of the vectors of attention heads in any layout.

use crate::matrix::Matrix;
use crate::parallel::Shared;
use std::marker::PhantomData;

/// Number and length of the vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadsShape {
    /// Images.
    pub batch: usize,
    /// Heads of each image.
    pub heads: usize,
    /// Tokens of each head: queries or keys.
    pub tokens: usize,
    /// Numbers of each token.
    pub head_dim: usize,
}

impl HeadsShape {
    fn elements(&self) -> usize {
        self.batch * self.heads * self.tokens * self.head_dim
    }

    /// Strides of `[batch, heads, tokens, head_dim]`.
    fn plain(&self) -> Strides {
        let token = self.head_dim;
        Strides { batch: self.heads * self.tokens * token, head: self.tokens * token, token }
    }

    /// Strides of `[batch, tokens, parts, heads, head_dim]`.
    fn interleaved(&self, parts: usize) -> Strides {
        let token = parts * self.heads * self.head_dim;
        Strides { batch: self.tokens * token, head: self.head_dim, token }
    }
}

#[derive(Clone, Copy, Debug)]
struct Strides {
    batch: usize,
    head: usize,
    token: usize,
}

/// Read-only query, key, value or context vectors.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    data: &'a [f32],
    pub(crate) shape: HeadsShape,
    strides: Strides,
}

impl<'a> Heads<'a> {
    /// `[batch, heads, tokens, head_dim]`.
    ///
    /// # Panics
    /// If `data` does not have that many elements.
    pub fn plain(data: &'a [f32], shape: HeadsShape) -> Self {
        assert_eq!(data.len(), shape.elements(), "head vectors fill their slice: {shape:?}");
        Heads { data, shape, strides: shape.plain() }
    }

    /// `[batch, tokens, heads, head_dim]`.
    ///
    /// # Panics
    /// If `data` does not have that many elements.
    pub fn merged(data: &'a [f32], shape: HeadsShape) -> Self {
        assert_eq!(data.len(), shape.elements(), "head vectors fill their slice: {shape:?}");
        Heads { data, shape, strides: shape.interleaved(1) }
    }

    /// Queries, keys and values in `[batch, tokens, 3, heads, head_dim]`, the output of one projection.
    ///
    /// # Panics
    /// If `data` does not have that many elements.
    pub fn packed(data: &'a [f32], shape: HeadsShape) -> [Self; 3] {
        assert_eq!(data.len(), 3 * shape.elements(), "packed head vectors fill their slice: {shape:?}");
        let part = shape.heads * shape.head_dim;
        let strides = shape.interleaved(3);
        [0, 1, 2].map(|i| Heads { data: data.get(i * part..).unwrap_or_default(), shape, strides })
    }

    /// One head as `[tokens, head_dim]`.
    pub(crate) fn matrix(&self, image: usize, head: usize) -> Matrix<'a> {
        let start = image * self.strides.batch + head * self.strides.head;
        let data = self.data.get(start..).unwrap_or_default();
        Matrix::strided(data, [self.shape.tokens, self.shape.head_dim], [self.strides.token, 1])
    }
}

/// Query, key, value or context vectors to be written.
#[derive(Debug)]
pub struct HeadsMut<'a> {
    /// The slice from the view's first element on. Views made together interleave and never overlap.
    data: Shared<f32>,
    pub(crate) shape: HeadsShape,
    strides: Strides,
    lifetime: PhantomData<&'a mut [f32]>,
}

impl<'a> HeadsMut<'a> {
    /// `[batch, heads, tokens, head_dim]`.
    ///
    /// # Panics
    /// If `data` does not have that many elements.
    pub fn plain(data: &'a mut [f32], shape: HeadsShape) -> Self {
        assert_eq!(data.len(), shape.elements(), "head vectors fill their slice: {shape:?}");
        HeadsMut { data: Shared::new(data), shape, strides: shape.plain(), lifetime: PhantomData }
    }

    /// `[batch, tokens, heads, head_dim]`.
    ///
    /// # Panics
    /// If `data` does not have that many elements.
    pub fn merged(data: &'a mut [f32], shape: HeadsShape) -> Self {
        assert_eq!(data.len(), shape.elements(), "head vectors fill their slice: {shape:?}");
        HeadsMut { data: Shared::new(data), shape, strides: shape.interleaved(1), lifetime: PhantomData }
    }

    /// Queries, keys and values in `[batch, tokens, 3, heads, head_dim]`.
    ///
    /// # Panics
    /// If `data` does not have that many elements.
    pub fn packed(data: &'a mut [f32], shape: HeadsShape) -> [Self; 3] {
        assert_eq!(data.len(), 3 * shape.elements(), "packed head vectors fill their slice: {shape:?}");
        let strides = shape.interleaved(3);
        let data = Shared::new(data);
        [0, 1, 2].map(|i| {
            let data = data.offset(i * shape.heads * shape.head_dim);
            HeadsMut { data, shape, strides, lifetime: PhantomData }
        })
    }

    /// Where one head's tokens begin, and the stride between them.
    pub(crate) fn target(&self, image: usize, head: usize) -> (Shared<f32>, usize) {
        let start = image * self.strides.batch + head * self.strides.head;
        (self.data.offset(start), self.strides.token)
    }
}
