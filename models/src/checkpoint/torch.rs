//! PyTorch's checkpoints: a pickle of names and tensors, and the tensors' storages.
//!
//! Two containers are in use. Since version 1.6 `torch.save` writes a zip archive with `data.pkl` and one entry per storage (as
//! do TorchScript archives). The older container, still available on request, is several pickles in a row, followed by the
//! storages.

use std::collections::BTreeMap;
use std::ops::Range;

use archaeo_store::InputFile;
use archaeo_store::memory::Budget;

use super::Search;
use super::archive::{Archive, Entry};
use super::element::{Element, room_for};
use super::error::Fault;
use super::locate::{Located, Shapes, locate};
use super::state_dict::{Leaf, Leaves, everything, find_model};
use super::tensors::{self, Tensor};
use crate::state::{Array, State};
use archaeo_pickle::{Node, Pickle, Value};

/// Name of the format in messages.
pub(super) const FORMAT: &str = "PyTorch checkpoint";

/// First value of the older container, pickled: the integer 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Largest pickle that is read from an archive, in bytes; for a model of a thousand arrays it has about 200,000.
const LARGEST_PICKLE: usize = 64 << 20;

/// Bytes of the older container that are read first for its pickles, whose length is not known in advance.
const FIRST_LOOK: usize = 1 << 20;

/// Whether a file starts like PyTorch's older container, or like any other pickle.
pub(super) fn recognises_legacy(start: &[u8]) -> bool {
    matches!(start, [0x80, 1..=5, ..])
}

/// The entry of an archive that holds the pickle, if it is PyTorch's.
pub(super) fn pickle_entry(archive: &Archive) -> Option<String> {
    let is_pickle = |name: &String| name == "data.pkl" || name.ends_with("/data.pkl");
    // The archive's own pickle is at a higher level than any other it may contain.
    archive.names().into_iter().filter(is_pickle).min_by_key(|name| name.matches('/').count())
}

/// Contents of a checkpoint: the arrays of the model, its metadata, and how the model was found.
pub(super) type Contents = (State, BTreeMap<String, String>, Option<Located>);

/// Reads a zip archive whose pickle is the entry `pickle`.
pub(super) fn read_archive(
    archive: &mut Archive,
    pickle: &str,
    search: &Search,
    budget: &mut Budget,
) -> Result<Contents, Fault> {
    let folder = pickle.trim_end_matches("data.pkl");
    let order = format!("{folder}byteorder");
    if archive.names().contains(&order) {
        let order = archive.entry(&order, budget)?;
        if order.len() == 3 && *order.bytes(0..3)? == *b"big" {
            return Err(big_endian());
        }
    }
    let pickle = archive.entry(pickle, budget)?;
    if pickle.len() > LARGEST_PICKLE {
        return Err(Fault::malformed(format!("its pickle has {} MiB", pickle.len() >> 20)));
    }
    let pickle = pickle.bytes(0..pickle.len())?;
    let pickle = Pickle::parse(&pickle)?;
    // Views of one storage are adjacent, so the last storage is kept.
    let mut last: Option<(String, Entry)> = None;
    contents(&pickle, search, budget, |tensor, budget| {
        if last.as_ref().is_none_or(|(key, _)| *key != tensor.storage.key) {
            if let Some((_, entry)) = last.take() {
                entry.give_back(budget);
            }
            let entry = archive.entry(&format!("{folder}data/{}", tensor.storage.key), budget)?;
            last = Some((tensor.storage.key.clone(), entry));
        }
        let (_, entry) = last.as_ref().expect("it was just put there");
        values(tensor, entry, budget)
    })
}

/// Reads the older container.
pub(super) fn read_legacy(file: &InputFile, search: &Search, budget: &mut Budget) -> Result<Contents, Fault> {
    let most = file.len().min(LARGEST_PICKLE);
    let mut length = most.min(FIRST_LOOK);
    loop {
        let bytes = file.bytes(0..length)?;
        match LegacyPickles::parse(&bytes) {
            Ok(pickles) => return pickles.contents(file, search, budget),
            Err(fault) if length == most => return Err(fault),
            // The pickles may be longer than the part read so far.
            Err(_) => length = most.min(4 * length),
        }
    }
}

/// The pickles at the start of the older container.
struct LegacyPickles<'a> {
    object: Pickle<'a>,
    keys: Pickle<'a>,
    /// Where the storages begin.
    end: usize,
}

impl<'a> LegacyPickles<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let Some(mut rest) = after_legacy_magic(bytes) else {
            // Reports any other pickle that would be harmful.
            Pickle::parse(bytes)?;
            return Err(Fault::malformed("it is a pickle, but torch.save did not write it"));
        };
        let mut next = || {
            let pickle = Pickle::parse(rest)?;
            rest = &rest[pickle.length..];
            Ok::<_, Fault>(pickle)
        };
        let (_version, system, object, keys) = (next()?, next()?, next()?, next()?);
        if let Some(Node::Dictionary(system)) = system.node(system.root)
            && system.contains(&(Value::Text("little_endian"), Value::Bool(false)))
        {
            return Err(big_endian());
        }
        Ok(Self { object, keys, end: bytes.len() - rest.len() })
    }

    fn contents(&self, file: &InputFile, search: &Search, budget: &mut Budget) -> Result<Contents, Fault> {
        let places = legacy_storages(file, self.end, &self.object, &self.keys)?;
        contents(&self.object, search, budget, |tensor, budget| {
            let place = places.get(&tensor.storage.key).ok_or_else(|| {
                Fault::malformed(format!("storage {} is not in the file", tensor.storage.key))
            })?;
            values(tensor, &Entry::Stored(file, place.clone()), budget)
        })
    }
}

/// What follows the magic number of the older container. It is preceded by the pickle's protocol, and a frame if the protocol has
/// any.
fn after_legacy_magic(bytes: &[u8]) -> Option<&[u8]> {
    let [0x80, _protocol, rest @ ..] = bytes else { return None };
    let rest = match rest {
        [0x95, rest @ ..] => rest.get(8..)?,
        rest => rest,
    };
    rest.strip_prefix(LEGACY_MAGIC)
}

/// Position of each storage after the pickles: its number of elements in eight bytes, then the elements.
fn legacy_storages(
    file: &InputFile,
    mut at: usize,
    object: &Pickle,
    keys: &Pickle,
) -> Result<BTreeMap<String, Range<usize>>, Fault> {
    let cut = || Fault::malformed("it ends before its own contents do");
    let elements = tensors::storages(object);
    let mut places = BTreeMap::new();
    for &key in keys.sequence(keys.root) {
        let key = tensors::storage_key(key).ok_or_else(|| Fault::malformed("a storage has no name"))?;
        let element = elements.get(&key);
        let element = element.ok_or_else(|| Fault::malformed(format!("no tensor has storage {key}")))?;
        let start = at + 8;
        let count = file.bytes(at..start)?.try_into().expect("eight bytes");
        let length = u64::from_le_bytes(count).checked_mul(element.size() as u64);
        let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(cut)?;
        at = start.checked_add(length).filter(|end| *end <= file.len()).ok_or_else(cut)?;
        places.insert(key, start..at);
    }
    Ok(places)
}

/// The model's arrays, each read by `read`, and the checkpoint's metadata.
fn contents(
    pickle: &Pickle,
    search: &Search,
    budget: &mut Budget,
    mut read: impl FnMut(&Tensor, &mut Budget) -> Result<Array, Fault>,
) -> Result<Contents, Fault> {
    let (model, located) = match found(pickle, search)? {
        Some((leaves, located)) => (leaves, Some(located)),
        None => (find_model(pickle)?, None),
    };
    let mut state = State::new();
    // In the order of the storages, not of the names, so that the file is read sequentially.
    let mut ordered: Vec<(&String, &Leaf)> = model.iter().collect();
    ordered.sort_by_key(|(_, leaf)| match leaf {
        Leaf::Tensor(tensor) => Some(tensor.storage.key.as_str()),
        Leaf::Unsupported(_) => None,
    });
    for (name, leaf) in ordered {
        let tensor = match leaf {
            Leaf::Tensor(tensor) => tensor,
            Leaf::Unsupported(reason) => return Err(Fault::malformed(format!("`{name}` {reason}"))),
        };
        match tensor.element {
            Element::Integer(_) => continue,
            Element::Foreign(_, dtype) => return Err(Fault::Dtype(name.clone(), dtype.to_owned())),
            Element::F64 | Element::F32 | Element::F16 | Element::Bf16 => {}
        }
        let array = read(tensor, budget).map_err(|fault| match fault {
            Fault::Malformed(reason) => Fault::Malformed(format!("`{name}`: {reason}")),
            other => other,
        })?;
        state.insert(name.clone(), array);
    }
    Ok((state, remarks(pickle), located))
}

/// The arrays of the one model of a known architecture, under the file's names; `None` where there is none.
fn found(pickle: &Pickle, search: &Search) -> Result<Option<(Leaves, Located)>, Fault> {
    let Search::Model(entry) = search else { return Ok(None) };
    let Some(mut leaves) = everything(pickle) else { return Ok(None) };
    let shapes: Shapes = leaves
        .iter()
        .filter_map(|(name, leaf)| match leaf {
            Leaf::Tensor(tensor) if !matches!(tensor.element, Element::Integer(_)) => {
                Some((name.clone(), tensor.shape.clone()))
            }
            Leaf::Tensor(_) | Leaf::Unsupported(_) => None,
        })
        .collect();
    let Some(located) = locate(&shapes, entry.as_deref()).map_err(Fault::Model)? else { return Ok(None) };
    leaves.retain(|name, _| located.wants(name));
    Ok(Some((leaves, located)))
}

/// The values of a tensor, last axis fastest.
fn values(tensor: &Tensor, storage: &Entry, budget: &mut Budget) -> Result<Array, Fault> {
    let outside = || Fault::malformed("the tensor reaches beyond its storage");
    let Tensor { element, offset, shape, strides, .. } = tensor;
    let size = element.size();
    let (mut values, count) = room_for(budget, shape)?;
    if count > 0 {
        let reach = shape.iter().zip(strides).try_fold(0usize, |reach, (length, stride)| {
            reach.checked_add((length - 1).checked_mul(*stride)?)
        });
        let place = |count: usize| {
            let start = tensor.storage.start.checked_add(*offset)?.checked_mul(size)?;
            Some(start..start.checked_add(count.checked_mul(size)?)?)
        };
        let span = reach.and_then(|reach| place(reach.checked_add(1)?)).ok_or_else(outside)?;
        if span.end > storage.len() {
            return Err(outside());
        }
        if tensor.is_contiguous() {
            storage.pieces(span, |piece| element.widen(piece, &mut values))?;
        } else {
            element.gather(&storage.bytes(span)?, shape, strides, &mut values);
        }
    }
    Ok(Array { shape: shape.clone(), values })
}

fn big_endian() -> Fault {
    Fault::malformed("it was written on a big-endian machine")
}

/// Longest text that is kept as metadata, in bytes.
const LONGEST_REMARK: usize = 4096;

/// Numbers and texts next to the model, such as the epoch and the name of the architecture.
fn remarks(pickle: &Pickle) -> BTreeMap<String, String> {
    let Some(Node::Dictionary(entries)) = pickle.node(pickle.root) else { return BTreeMap::new() };
    let remark = |&(key, value): &(Value, Value)| {
        let Value::Text(key) = key else { return None };
        let text = match value {
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(value) => value.to_owned(),
            Value::Nothing | Value::Bytes(_) | Value::Global(..) | Value::Node(_) => return None,
        };
        (key.len().max(text.len()) <= LONGEST_REMARK).then(|| (key.to_owned(), text))
    };
    entries.iter().filter_map(remark).collect()
}
