//! Finds the model in a PyTorch checkpoint: a dictionary of arrays, alone or next to an optimizer, counters and settings, or a
//! pickled module with arrays as attributes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::error::Fault;
use super::tensors::{self, Tensor};
use archaeo_pickle::{Call, Node, Pickle, Value};

/// A value where a model's array may be.
pub(super) enum Leaf {
    /// A tensor.
    Tensor(Tensor),
    /// A tensor that is not a plain array, as the end of a sentence.
    Unsupported(String),
}

/// Arrays by name.
pub(super) type Leaves = BTreeMap<String, Leaf>;

/// Keys under which training scripts store a model, likeliest first, for models of unknown architecture. An average of the
/// weights comes before the weights themselves, as in timm, and a teacher, which DINO evaluates, before the student.
const MODEL_ENTRIES: [&str; 13] = [
    "state_dict_ema",
    "model_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "teacher",
    "student",
    "weights",
    "params",
];

/// Prefixes of other keys that hold tensors.
const OTHER_ENTRIES: [&str; 4] = ["optim", "sched", "scaler", "amp"];

/// Every tensor of a checkpoint by its path, except those of optimizers and the like; `None` if there are too many places to
/// visit.
pub(super) fn everything(pickle: &Pickle) -> Option<Leaves> {
    let mut walk = Walk { pickle, path: vec![pickle.root], places: 0, name_bytes: 0 };
    let mut leaves = Leaves::new();
    if matches!(pickle.node(pickle.root), Some(Node::Call(_))) {
        walk.path.clear();
        walk.collect(pickle.root, "", &mut leaves).ok()?;
        return Some(leaves);
    }
    for (name, entry) in walk.entries(pickle.root) {
        if !OTHER_ENTRIES.iter().any(|other| name.to_lowercase().starts_with(other)) {
            walk.collect(entry, &name, &mut leaves).ok()?;
        }
    }
    Some(leaves)
}

/// Deepest nesting that is followed.
const DEEPEST: usize = 48;

/// Most places that are visited: one object may appear in many.
const MOST_PLACES: usize = 200_000;

/// Most bytes of all names together.
const LONGEST_NAMES: usize = 64 << 20;

/// The arrays of the model in a checkpoint, wherever they are.
///
/// # Errors
/// A checkpoint without tensors, or one constructed so that a traversal would not end.
pub(super) fn find_model(pickle: &Pickle) -> Result<Leaves, Fault> {
    let mut walk = Walk { pickle, path: Vec::new(), places: 0, name_bytes: 0 };
    let mut root = pickle.root;
    while let Some(inner) = walk.named_model(root)?.filter(|inner| *inner != root) {
        root = inner;
    }
    let leaves = walk.model(root)?;
    if leaves.is_empty() {
        return Err(Fault::malformed("it holds no tensors by name"));
    }
    Ok(leaves)
}

struct Walk<'p, 'a> {
    pickle: &'p Pickle<'a>,
    /// The nodes on the way from the root: an object that contains itself is not entered again.
    path: Vec<Value<'a>>,
    places: usize,
    name_bytes: usize,
}

impl<'a> Walk<'_, 'a> {
    /// The entry under one of the usual names that holds tensors.
    fn named_model(&mut self, value: Value<'a>) -> Result<Option<Value<'a>>, Fault> {
        let entries = self.entries(value);
        for name in MODEL_ENTRIES {
            for (_, entry) in entries.iter().filter(|(key, _)| key == name) {
                let container = matches!(self.pickle.node(*entry), Some(Node::Dictionary(_) | Node::Call(_)));
                if container && leaf(self.pickle, *entry).is_none() && !self.leaves(*entry)?.is_empty() {
                    return Ok(Some(*entry));
                }
            }
        }
        Ok(None)
    }

    /// The tensors of the model: a dictionary of tensors is a model; otherwise the entry with the most tensors is.
    fn model(&mut self, value: Value<'a>) -> Result<Leaves, Fault> {
        if matches!(self.pickle.node(value), Some(Node::Call(_))) {
            return self.leaves(value);
        }
        let mut own = Leaves::new();
        let mut nested = Leaves::new();
        let mut largest = Leaves::new();
        self.path.push(value);
        for (name, entry) in self.entries(value) {
            if let Some(leaf) = leaf(self.pickle, entry) {
                own.insert(name.into_owned(), leaf);
                continue;
            }
            if OTHER_ENTRIES.iter().any(|other| name.to_lowercase().starts_with(other)) {
                continue;
            }
            let found = self.leaves(entry)?;
            if found.len() > largest.len() {
                largest = found;
            }
            self.collect(entry, &name, &mut nested)?;
        }
        self.path.pop();
        if own.is_empty() {
            return Ok(largest);
        }
        own.append(&mut nested);
        Ok(own)
    }

    /// All tensors below a value, by path.
    fn leaves(&mut self, value: Value<'a>) -> Result<Leaves, Fault> {
        let mut leaves = Leaves::new();
        self.collect(value, "", &mut leaves)?;
        Ok(leaves)
    }

    fn collect(&mut self, value: Value<'a>, name: &str, leaves: &mut Leaves) -> Result<(), Fault> {
        let Value::Node(_) = value else { return Ok(()) };
        self.places += 1;
        self.name_bytes += name.len();
        if self.places > MOST_PLACES || self.name_bytes > LONGEST_NAMES {
            return Err(Fault::malformed("its pickle holds more than any model has"));
        }
        if let Some(leaf) = leaf(self.pickle, value) {
            leaves.insert(name.to_owned(), leaf);
            return Ok(());
        }
        if self.path.len() >= DEEPEST || self.path.contains(&value) {
            return Ok(());
        }
        self.path.push(value);
        let is_object = matches!(self.pickle.node(value), Some(Node::Call(_)));
        for (key, entry) in self.entries(value) {
            // A pickled module keeps its arrays in dictionaries that the names of a state dict do not mention.
            let transparent = is_object && matches!(&*key, "_parameters" | "_buffers" | "_modules");
            let path: Cow<str> = match (transparent, name.is_empty()) {
                (true, _) => name.into(),
                (false, true) => key,
                (false, false) if matches!(entry, Value::Node(_)) => format!("{name}.{key}").into(),
                (false, false) => continue,
            };
            self.collect(entry, &path, leaves)?;
        }
        self.path.pop();
        Ok(())
    }

    /// Named entries of a dictionary, items of a list by number, or items and attributes of an object.
    fn entries(&self, value: Value<'a>) -> Vec<(Cow<'a, str>, Value<'a>)> {
        let named = |&(key, value): &(Value<'a>, Value<'a>)| match key {
            Value::Text(key) => Some((Cow::Borrowed(key), value)),
            _ => None,
        };
        match self.pickle.node(value) {
            Some(Node::Dictionary(entries)) => entries.iter().filter_map(named).collect(),
            Some(Node::Sequence(items)) => {
                let holders = items.iter().enumerate().filter(|(_, item)| matches!(item, Value::Node(_)));
                holders.map(|(index, item)| (index.to_string().into(), *item)).collect()
            }
            Some(Node::Call(call)) => {
                // Objects with slots are given a pair: attributes, slots.
                let state = self.pickle.sequence(call.state).first().copied().unwrap_or(call.state);
                let attributes = match self.pickle.node(state) {
                    Some(Node::Dictionary(attributes)) => attributes.as_slice(),
                    _ => &[],
                };
                call.items.iter().chain(attributes).filter_map(named).collect()
            }
            Some(Node::Persistent(_)) | None => Vec::new(),
        }
    }
}

/// The tensor that a value describes, if any.
fn leaf(pickle: &Pickle, value: Value) -> Option<Leaf> {
    let Some(Node::Call(call)) = pickle.node(value) else { return None };
    let Call { function: Value::Global(module, name), arguments, .. } = **call else { return None };
    Some(match tensors::tensor(pickle, module, name, arguments, 0)? {
        Ok(tensor) => Leaf::Tensor(tensor),
        Err(reason) => Leaf::Unsupported(reason),
    })
}
