//! Constant weights, kept in the packed form that products read.
//!
//! Packing a weight takes 5 % of a product with a batch of images, and 20 % of one with a single image. A weight without
//! gradients is kept packed from its second product on, for as long as it lives: most are those of a trained model. A weight that
//! is used once costs nothing.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use archaeo_kernels::{Convolution, Level, PackedFilters, PackedWeight, Precision, WeightUse};
use burn_flex::FlexTensor;
use burn_std::Bytes;

use super::{dense, values};
use crate::kernels::LinearSettings;

/// Rows of a product from which packing the weight takes less than 1 % of it.
const MOST_ROWS: usize = 8192;
/// Memory that kept weights may take, in bytes. Weights beyond this are packed each time.
const MOST_BYTES: usize = 512 << 20;

/// A part of a tensor's memory, and its use. The address cannot be reused by another tensor while an entry has a [`Weak`] of it.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    storage: usize,
    start: usize,
    /// Outputs, inputs of a group, numbers of each kernel.
    shape: [usize; 3],
    purpose: Purpose,
    level: Level,
}

#[derive(PartialEq, Eq, Hash)]
enum Purpose {
    Linear(WeightUse, Precision),
    /// In bfloat16, with the number of groups.
    Convolution(usize),
}

/// A weight that was used once, or is kept.
struct Entry {
    /// Writing to the tensor requires unique ownership, which either moves the data or copies it.
    storage: Weak<Bytes>,
    kept: Option<Kept>,
}

#[derive(Clone)]
enum Kept {
    Weight(Arc<PackedWeight>),
    Filters(Arc<PackedFilters>),
}

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Kept::Weight(weight) => weight.bytes(),
            Kept::Filters(filters) => filters.bytes(),
        }
    }
}

static ENTRIES: LazyLock<Mutex<HashMap<Key, Entry>>> = LazyLock::new(Mutex::default);

/// The entries of live weights.
fn entries() -> MutexGuard<'static, HashMap<Key, Entry>> {
    // Each change is a single insertion, so that entries are whole even if a thread panicked with them.
    let mut entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    entries.retain(|_, entry| entry.storage.strong_count() > 0);
    entries
}

/// A fully connected layer's weight, packed for a product of `rows` rows, if it is kept.
pub(super) fn packed_weight(
    weight: &FlexTensor,
    weight_use: WeightUse,
    settings: LinearSettings,
    rows: usize,
) -> Option<Arc<PackedWeight>> {
    let LinearSettings { precision, constant_weights } = settings;
    if !constant_weights || rows > MOST_ROWS {
        // Weights kept before training resumed are not kept during it.
        drop(entries());
        return None;
    }
    let [outputs, inputs] = dense::matrix_shape(weight);
    let pack = || {
        let packed = PackedWeight::new(dense::weight(weight), weight_use, precision);
        Some(Kept::Weight(Arc::new(packed)))
    };
    match kept(weight, [outputs, inputs, 1], Purpose::Linear(weight_use, precision), pack)? {
        Kept::Weight(weight) => Some(weight),
        Kept::Filters(_) => None,
    }
}

/// A convolution's weight, without gradients, packed for products in bfloat16, if it is kept.
pub(super) fn packed_filters(weight: &FlexTensor, shape: &Convolution) -> Option<Arc<PackedFilters>> {
    let pack = || Some(Kept::Filters(Arc::new(PackedFilters::new(shape, values(weight))?)));
    let lengths =
        [shape.out_channels, shape.in_channels / shape.groups, shape.kernel.iter().product::<usize>()];
    match kept(weight, lengths, Purpose::Convolution(shape.groups), pack)? {
        Kept::Filters(filters) => Some(filters),
        Kept::Weight(_) => None,
    }
}

/// The packed form of a weight: from its second use on, the result of `pack`.
fn kept(
    weight: &FlexTensor,
    shape: [usize; 3],
    purpose: Purpose,
    pack: impl FnOnce() -> Option<Kept>,
) -> Option<Kept> {
    let storage = weight.data_arc();
    let key = Key {
        storage: Arc::as_ptr(&storage) as usize,
        start: values(weight).as_ptr() as usize,
        shape,
        purpose,
        level: Level::current(),
    };
    let storage = Arc::downgrade(&storage);
    let mut entries_now = entries();
    match entries_now.get(&key) {
        None => {
            entries_now.insert(key, Entry { storage, kept: None });
            return None;
        }
        Some(Entry { kept: Some(kept), .. }) => return Some(kept.clone()),
        Some(Entry { kept: None, .. }) => {}
    }
    let taken: usize = entries_now.values().filter_map(|entry| Some(entry.kept.as_ref()?.bytes())).sum();
    if taken + size_of_val(values(weight)) > MOST_BYTES {
        return None;
    }
    // Other threads go on meanwhile; if one of them packs the same weight, the later result stays.
    drop(entries_now);
    let packed = pack()?;
    entries().insert(key, Entry { storage, kept: Some(packed.clone()) });
    Some(packed)
}
