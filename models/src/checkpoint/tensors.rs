//! Tensors in PyTorch's pickles: a call that would rebuild one from a storage, an offset, a shape and strides.

use std::collections::BTreeMap;

use super::element::Element;
use archaeo_pickle::{Node, Pickle, Value};

/// Most axes of a tensor.
const MOST_AXES: usize = 16;

/// Deepest nesting of wrappers (parameter, subclass) around a tensor.
const DEEPEST: usize = 4;

/// A tensor, before its values are read.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) element: Element,
    /// Index of the first element in the storage.
    pub(super) offset: usize,
    /// Length of each axis.
    pub(super) shape: Vec<usize>,
    /// Strides, in elements of the storage.
    pub(super) strides: Vec<usize>,
}

/// The memory behind one or more tensors.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) key: String,
    element: Element,
    /// Start of this view, in elements; old files have views of storages.
    pub(super) start: usize,
}

impl Tensor {
    /// Whether the elements lie one after the other, last axis fastest.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&length, &stride)| {
            let fits = length == 1 || stride == expected;
            expected *= length;
            fits
        })
    }
}

/// The tensor that a call of `module.name` would make; `None` if it makes something else; an error, the end of a sentence, if the
/// tensor is not a plain array.
pub(super) fn tensor(
    pickle: &Pickle,
    module: &str,
    name: &str,
    arguments: Value,
    depth: usize,
) -> Option<Result<Tensor, String>> {
    let arguments = pickle.sequence(arguments);
    let first = arguments.first().copied();
    match (module, name) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
            let dtype = if name == "_rebuild_tensor_v3" { arguments.get(6).copied() } else { None };
            let plain = plain(pickle, arguments, dtype);
            Some(plain.ok_or_else(|| "is a tensor whose description makes no sense".to_owned()))
        }
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") if depth < DEEPEST => {
            match pickle.node(first?) {
                Some(Node::Call(call)) => match call.function {
                    Value::Global(module, name) => tensor(pickle, module, name, call.arguments, depth + 1),
                    _ => None,
                },
                _ => None,
            }
        }
        ("torch._tensor", "_rebuild_from_type_v2") if depth < DEEPEST => match (first?, arguments.get(2)) {
            (Value::Global(module, name), Some(&inner)) => tensor(pickle, module, name, inner, depth + 1),
            _ => None,
        },
        ("torch._utils", name) if name.starts_with("_rebuild_") => {
            Some(Err(format!("is a tensor of a kind that is not read (`{name}`)")))
        }
        _ => None,
    }
}

/// The tensor that `(storage, offset, shape, strides, …)` describes.
fn plain(pickle: &Pickle, arguments: &[Value], dtype: Option<Value>) -> Option<Tensor> {
    let &[storage, Value::Int(offset), shape, strides, ..] = arguments else { return None };
    let numbers = |value: Value| {
        let Some(Node::Sequence(items)) = pickle.node(value) else { return None };
        let number = |item: &Value| match item {
            Value::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        };
        items.iter().take(MOST_AXES + 1).map(number).collect::<Option<Vec<_>>>()
    };
    let (shape, strides) = (numbers(shape)?, numbers(strides)?);
    if shape.len() != strides.len() || shape.len() > MOST_AXES {
        return None;
    }
    let storage = match pickle.node(storage)? {
        Node::Persistent(identity) => self::storage(pickle, *identity)?,
        _ => return None,
    };
    let element = match dtype {
        Some(Value::Global("torch", name)) => element_of_dtype(name),
        _ => storage.element,
    };
    Some(Tensor { storage, element, offset: usize::try_from(offset).ok()?, shape, strides })
}

/// The storage that `("storage", type, key, device, elements[, view])` names.
fn storage(pickle: &Pickle, identity: Value) -> Option<Storage> {
    let &[Value::Text("storage"), Value::Global(_, class), key, _, _, ref view @ ..] =
        pickle.sequence(identity)
    else {
        return None;
    };
    let start = match view.first().map(|view| pickle.sequence(*view)) {
        Some(&[_, Value::Int(start), ..]) => usize::try_from(start).ok()?,
        _ => 0,
    };
    Some(Storage { key: storage_key(key)?, element: element_of_storage(class), start })
}

/// The name of a storage: a number, as text or not.
pub(super) fn storage_key(value: Value) -> Option<String> {
    match value {
        // Longer names cannot be entries of an archive.
        Value::Text(key) if key.len() <= 64 => Some(key.to_owned()),
        Value::Int(key) => Some(key.to_string()),
        _ => None,
    }
}

/// Every storage that a pickle names, with its element type.
pub(super) fn storages(pickle: &Pickle) -> BTreeMap<String, Element> {
    let named = |node: &Node| match node {
        Node::Persistent(identity) => {
            storage(pickle, *identity).map(|storage| (storage.key, storage.element))
        }
        _ => None,
    };
    pickle.nodes().iter().filter_map(named).collect()
}

fn element_of_storage(class: &str) -> Element {
    match class {
        "DoubleStorage" => Element::F64,
        "FloatStorage" => Element::F32,
        "HalfStorage" => Element::F16,
        "BFloat16Storage" => Element::Bf16,
        "LongStorage" => Element::Integer(8),
        "IntStorage" => Element::Integer(4),
        "ShortStorage" => Element::Integer(2),
        "ByteStorage" | "BoolStorage" => Element::Integer(1),
        "CharStorage" => Element::Foreign(1, "8-bit integers"),
        "QInt8Storage" | "QUInt8Storage" => Element::Foreign(1, "quantised 8-bit integers"),
        "QInt32Storage" => Element::Foreign(4, "quantised 32-bit integers"),
        "ComplexFloatStorage" => Element::Foreign(8, "complex numbers"),
        "ComplexDoubleStorage" => Element::Foreign(16, "complex numbers"),
        _ => Element::Foreign(1, "numbers of an unknown type"),
    }
}

fn element_of_dtype(name: &str) -> Element {
    match name {
        "float64" | "double" => Element::F64,
        "float32" | "float" => Element::F32,
        "float16" | "half" => Element::F16,
        "bfloat16" => Element::Bf16,
        "int64" | "uint64" => Element::Integer(8),
        "int32" | "uint32" => Element::Integer(4),
        "int16" | "uint16" => Element::Integer(2),
        "uint8" | "bool" => Element::Integer(1),
        _ => Element::Foreign(1, "numbers that are no 16-, 32- or 64-bit floats"),
    }
}
