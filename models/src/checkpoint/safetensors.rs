//! Safetensors: a JSON header with the position of every array, then the arrays.
//!
//! Format: <https://huggingface.co/docs/safetensors>.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use archaeo_store::InputFile;
use archaeo_store::memory::Budget;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::Search;
use super::element::{Element, room_for};
use super::error::{Fault, WeightsError};
use super::torch::Contents;
use crate::state::{Array, State};

/// Name of the format in messages.
pub(super) const FORMAT: &str = "safetensors file";

/// Key of the metadata in a header.
const METADATA_KEY: &str = "__metadata__";

/// Largest header that is read, in bytes; for a model of a thousand arrays it has about 100,000.
const LARGEST_HEADER: u64 = 16 << 20;

/// Whether a file starts like safetensors: with the length of a JSON object.
pub(super) fn recognises(start: &[u8]) -> bool {
    start.get(8).is_some_and(|&first| first == b'{')
}

/// A header, checked against the file's length, and where the first array begins.
pub(super) fn header(file: &InputFile) -> Result<(Metadata, usize), Fault> {
    let file_length = file.len() as u64;
    if file_length < 8 {
        return Err(Fault::malformed(format!("it has {file_length} bytes, fewer than any such file")));
    }
    let length = u64::from_le_bytes(file.bytes(0..8)?.try_into().expect("eight bytes"));
    if length > LARGEST_HEADER || length > file_length - 8 {
        return Err(Fault::malformed(format!(
            "it announces a header of {length} bytes but has {file_length} in all"
        )));
    }
    let start = 8 + length as usize;
    // Parsing checks that the arrays are contiguous and match their shapes.
    let header: Metadata = serde_json::from_slice(&file.bytes(8..start)?)
        .map_err(|error| Fault::malformed(format!("its header does not parse: {error}")))?;
    let expected = start as u64 + header.data_len() as u64;
    if expected != file_length {
        return Err(Fault::malformed(format!("it should have {expected} bytes but has {file_length}")));
    }
    Ok((header, start))
}

/// The float arrays that `search` selects, the metadata, and how the model was found. Integers (counters, indices, masks) are
/// skipped.
pub(super) fn read(file: &InputFile, search: &Search, budget: &mut Budget) -> Result<Contents, Fault> {
    let (header, start) = header(file)?;
    let located = search.in_shapes(&metadata(&header), || {
        let info = |name: String| {
            let info = header.info(&name)?;
            let integers = matches!(element(info.dtype), Some(Element::Integer(_)));
            (!integers).then(|| (name, info.shape.clone()))
        };
        header.offset_keys().into_iter().filter_map(info).collect()
    })?;
    let mut state = State::new();
    for name in header.offset_keys() {
        let Some(TensorInfo { dtype, shape, data_offsets: (begin, end) }) = header.info(&name) else {
            continue;
        };
        if located.as_ref().is_some_and(|located| !located.wants(&name)) {
            continue;
        }
        let element = match element(*dtype) {
            Some(Element::Integer(_)) => continue,
            Some(element) => element,
            None => return Err(Fault::Dtype(name, dtype.to_string())),
        };
        let (mut values, _) = room_for(budget, shape)?;
        file.pieces(start + begin..start + end, |piece| element.widen(piece, &mut values))?;
        state.insert(name, Array { shape: shape.clone(), values });
    }
    Ok((state, metadata(&header), located))
}

/// The metadata of a header, sorted.
pub(super) fn metadata(header: &Metadata) -> BTreeMap<String, String> {
    header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F64 => Element::F64,
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::BOOL | Dtype::U8 => Element::Integer(1),
        Dtype::I16 | Dtype::U16 => Element::Integer(2),
        Dtype::I32 | Dtype::U32 => Element::Integer(4),
        Dtype::I64 | Dtype::U64 => Element::Integer(8),
        _ => return None,
    })
}

/// Writes arrays and string metadata; `path` is written atomically.
///
/// Equal input gives equal bytes: names and metadata are sorted, so that a file's hash identifies its contents.
///
/// # Errors
/// An I/O error, with the path.
pub fn write_arrays(
    path: &Path,
    state: &State,
    metadata: HashMap<String, String>,
) -> Result<(), WeightsError> {
    Ok(archaeo_store::write_with(path, |file| write_to(file, state, metadata))?)
}

fn write_to(file: &mut BufWriter<File>, state: &State, metadata: HashMap<String, String>) -> io::Result<()> {
    // The crate's own writer takes metadata as a hash map, whose order differs between runs.
    let metadata: BTreeMap<String, String> = metadata.into_iter().collect();
    let mut header = serde_json::Map::new();
    header.insert(METADATA_KEY.into(), serde_json::to_value(metadata)?);
    let mut end = 0;
    for (name, Array { shape, values }) in state {
        let data_offsets = (end, end + 4 * values.len());
        end = data_offsets.1;
        let info = TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets };
        header.insert(name.clone(), serde_json::to_value(info)?);
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');

    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for value in state.values().flat_map(|array| &array.values) {
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}
