//! Weights that do not change, kept in the order in which products read them.
//!
//! To rearrange a weight takes a twentieth of a product by a batch of images, and a fifth of one by a single image. A weight that
//! nobody differentiates is kept rearranged from its second product on, for as long as it lives: most are those of a trained
//! model; what is used only once costs nothing here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use archaeo_kernels::{Level, PackedWeight, Precision, WeightUse};
use burn_flex::FlexTensor;
use burn_std::Bytes;

use super::{dense, values};
use crate::kernels::LinearSettings;

/// Rows of a product from which rearranging the weight is below a hundredth of it.
const MOST_ROWS: usize = 8192;
/// Memory that kept weights may take, in bytes. Those beyond are rearranged each time.
const MOST_BYTES: usize = 512 << 20;

/// A part of a tensor's memory, and what it is wanted for. The address cannot come to mean another tensor while an entry has a
/// [`Weak`] of it.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    storage: usize,
    start: usize,
    shape: [usize; 2],
    weight_use: WeightUse,
    precision: Precision,
    level: Level,
}

/// A weight that was seen once, or is kept.
struct Entry {
    /// Whoever writes to the tensor needs it for himself, and then either moves it away from here or makes a copy.
    storage: Weak<Bytes>,
    packed: Option<Arc<PackedWeight>>,
}

static ENTRIES: LazyLock<Mutex<HashMap<Key, Entry>>> = LazyLock::new(Mutex::default);

/// The entries of weights that still live.
fn entries() -> MutexGuard<'static, HashMap<Key, Entry>> {
    // Each change is a single insertion, so that entries are whole even if a thread panicked with them.
    let mut entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    entries.retain(|_, entry| entry.storage.strong_count() > 0);
    entries
}

/// The weight, packed for a product of so many rows, if it is kept.
pub(super) fn packed(
    weight: &FlexTensor,
    weight_use: WeightUse,
    settings: LinearSettings,
    rows: usize,
) -> Option<Arc<PackedWeight>> {
    let LinearSettings { precision, constant_weights } = settings;
    let mut entries_now = entries();
    if !constant_weights || rows > MOST_ROWS {
        return None;
    }
    let storage = weight.data_arc();
    let key = Key {
        storage: Arc::as_ptr(&storage) as usize,
        start: values(weight).as_ptr() as usize,
        shape: dense::matrix_shape(weight),
        weight_use,
        precision,
        level: Level::current(),
    };
    let storage = Arc::downgrade(&storage);
    match entries_now.get(&key) {
        None => {
            entries_now.insert(key, Entry { storage, packed: None });
            return None;
        }
        Some(Entry { packed: Some(packed), .. }) => return Some(packed.clone()),
        Some(Entry { packed: None, .. }) => {}
    }
    let taken: usize = entries_now.values().filter_map(|entry| Some(entry.packed.as_ref()?.bytes())).sum();
    if taken + size_of_val(values(weight)) > MOST_BYTES {
        return None;
    }
    // Other threads go on meanwhile; should one of them pack the same, the later one stays.
    drop(entries_now);
    let packed = Arc::new(PackedWeight::new(dense::weight(weight), weight_use, precision));
    entries().insert(key, Entry { storage, packed: Some(packed.clone()) });
    Some(packed)
}
