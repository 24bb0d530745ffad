//! The stack machine that runs pickles.

use std::collections::HashMap;

use super::reader::Reader;
use super::{Call, Node, Value, broken};
use crate::PickleError;

/// Python modules that weights never need, and whose calls have side effects.
const HARMFUL_MODULES: [&str; 23] = [
    "_pickle",
    "_posixsubprocess",
    "asyncio",
    "bdb",
    "code",
    "commands",
    "ctypes",
    "http",
    "importlib",
    "multiprocessing",
    "nt",
    "os",
    "pdb",
    "pickle",
    "pip",
    "posix",
    "pty",
    "runpy",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "webbrowser",
];

/// The same among Python's built-in functions.
const HARMFUL_BUILTINS: [&str; 9] =
    ["__import__", "breakpoint", "compile", "eval", "exec", "execfile", "file", "input", "open"];

fn is_harmful(module: &str, name: &str) -> bool {
    let package = module.split('.').next().unwrap_or_default();
    match package {
        "builtins" | "__builtin__" => HARMFUL_BUILTINS.contains(&name),
        _ => HARMFUL_MODULES.contains(&package),
    }
}

/// The stack machine.
pub struct Machine<'a> {
    reader: Reader<'a>,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at which containers begin.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    nodes: Vec<Node<'a>>,
}

impl<'a> Machine<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nodes: Vec::new(),
        }
    }

    /// Bytes that were read.
    pub fn position(&self) -> usize {
        self.reader.position()
    }

    /// Everything that was made and holds other values.
    pub fn into_nodes(self) -> Vec<Node<'a>> {
        self.nodes
    }

    /// Runs one opcode; gives the object when the pickle is complete.
    pub fn step(&mut self) -> Result<Option<Value<'a>>, PickleError> {
        let [opcode] = self.reader.array()?;
        match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.reader.take(1)?),        // PROTO
            0x95 => drop(self.reader.take(8)?),        // FRAME
            b'(' => self.marks.push(self.stack.len()), // MARK
            b'0' => match self.marks.last() == Some(&self.stack.len()) {
                true => drop(self.marks.pop()),
                false => drop(self.pop()?),
            },
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
            }

            b'N' => self.push(Value::Nothing),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => self.integer(4, true)?,
            b'K' => self.integer(1, false)?,
            b'M' => self.integer(2, false)?,
            0x8a => {
                let length = self.reader.length(1)?;
                self.integer(length, true)?;
            }
            0x8b => {
                let length = self.reader.length(4)?;
                self.integer(length, true)?;
            }
            b'I' | b'L' => {
                let line = self.reader.line()?.trim_end_matches('L');
                self.push(match line {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    line => line.parse().map_or(Value::Nothing, Value::Int),
                });
            }
            b'G' => {
                let float = f64::from_be_bytes(self.reader.array()?);
                self.push(Value::Float(float));
            }
            b'F' => {
                let line = self.reader.line()?;
                self.push(line.parse().map_or(Value::Nothing, Value::Float));
            }

            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b'T' | b'B' => self.bytes(4)?,
            b'U' | b'C' => self.bytes(1)?,
            0x8e | 0x96 => self.bytes(8)?,
            b'S' => {
                let line = self.reader.line()?;
                self.push(Value::Text(line.trim_matches(['\'', '"'])));
            }
            b'V' => {
                let line = self.reader.line()?;
                self.push(Value::Text(line));
            }

            b')' => self.push_node(Node::Sequence(Vec::new())),
            b']' | 0x8f => self.push_node(Node::Sequence(Vec::new())),
            b'}' => self.push_node(Node::Dictionary(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push_node(Node::Sequence(items));
            }
            b't' | b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Sequence(items));
            }
            b'd' => {
                let items = pairs(self.pop_to_mark()?)?;
                self.push_node(Node::Dictionary(items));
            }
            b'a' => {
                let items = self.pop_many(1)?;
                self.append(items)?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(items)?;
            }

            b'p' | b'g' => {
                let line = self.reader.line()?;
                let key = line.parse().map_err(|_| broken("it remembers under no number"))?;
                if opcode == b'p' { self.remember(key)? } else { self.recall(key)? }
            }
            b'q' => {
                let key = self.reader.length(1)? as u64;
                self.remember(key)?;
            }
            b'r' => {
                let key = self.reader.length(4)? as u64;
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' => {
                let key = self.reader.length(1)? as u64;
                self.recall(key)?;
            }
            b'j' => {
                let key = self.reader.length(4)? as u64;
                self.recall(key)?;
            }

            b'c' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                self.push(Value::Global(module, name));
            }
            0x93 => {
                let names = self.pop_many(2)?;
                self.push(match names[..] {
                    [Value::Text(module), Value::Text(name)] => Value::Global(module, name),
                    _ => return Err(broken("a class is named by something else than text")),
                });
            }
            b'R' | 0x81 => {
                let parts = self.pop_many(2)?;
                self.call(parts[0], parts[1])?;
            }
            0x92 => {
                let parts = self.pop_many(3)?; // class, arguments, keyword arguments
                self.call(parts[0], parts[1])?;
            }
            b'i' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                let arguments = self.pop_to_mark()?;
                let arguments = self.new_node(Node::Sequence(arguments));
                self.call(Value::Global(module, name), arguments)?;
            }
            b'o' => {
                let mut arguments = self.pop_to_mark()?;
                if arguments.is_empty() {
                    return Err(broken("an object has no class"));
                }
                let class = arguments.remove(0);
                let arguments = self.new_node(Node::Sequence(arguments));
                self.call(class, arguments)?;
            }
            b'b' => {
                let state = self.pop()?;
                // An ordered dictionary may have attributes too; no array is among them.
                if let Node::Call(call) = self.top_node()? {
                    call.state = state;
                }
            }
            b'P' => {
                let line = self.reader.line()?;
                self.push_node(Node::Persistent(Value::Text(line)));
            }
            b'Q' => {
                let identity = self.pop()?;
                self.persistent(identity);
            }
            _ => return Err(broken(format!("it has the unknown opcode {opcode:#04x}"))),
        }
        Ok(None)
    }

    /// Pushes a little-endian integer of `width` bytes, if it has at most 64 bits.
    fn integer(&mut self, width: usize, signed: bool) -> Result<(), PickleError> {
        let integer = self.reader.integer(width, signed)?;
        self.push(integer.map_or(Value::Nothing, Value::Int));
        Ok(())
    }

    /// Pushes a text whose length stands before it in `width` bytes.
    fn text(&mut self, width: usize) -> Result<(), PickleError> {
        let length = self.reader.length(width)?;
        let text = str::from_utf8(self.reader.take(length)?);
        self.push(text.map_or(Value::Nothing, Value::Text));
        Ok(())
    }

    /// The like of bytes, which are a text if they can be one: Python 2 wrote its texts as bytes.
    fn bytes(&mut self, width: usize) -> Result<(), PickleError> {
        let length = self.reader.length(width)?;
        let bytes = self.reader.take(length)?;
        self.push(str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text));
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(value);
    }

    fn new_node(&mut self, node: Node<'a>) -> Value<'a> {
        self.nodes.push(node);
        Value::Node(self.nodes.len() - 1)
    }

    fn push_node(&mut self, node: Node<'a>) {
        let value = self.new_node(node);
        self.push(value);
    }

    fn pop(&mut self) -> Result<Value<'a>, PickleError> {
        Ok(self.pop_many(1)?[0])
    }

    /// The topmost `count` values, the topmost last.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count).filter(|start| *start >= floor) {
            Some(start) => Ok(self.stack.split_off(start)),
            None => Err(broken("it takes more from its stack than it put there")),
        }
    }

    /// The values above the topmost mark.
    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| broken("it ends a list that it did not begin"))?;
        // Never above the stack's height: nothing is popped from below the topmost mark.
        Ok(self.stack.split_off(mark))
    }

    /// The container on top of the stack.
    fn top_node(&mut self) -> Result<&mut Node<'a>, PickleError> {
        match self.stack.last() {
            Some(&Value::Node(index)) => Ok(&mut self.nodes[index]),
            _ => Err(broken("it fills something that holds nothing")),
        }
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<(), PickleError> {
        match self.top_node()? {
            Node::Sequence(sequence) => sequence.extend(items),
            Node::Call(call) => call.items.extend(items.into_iter().map(|item| (Value::Nothing, item))),
            Node::Dictionary(_) | Node::Persistent(_) => {
                return Err(broken("it appends to something that is not a list"));
            }
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value<'a>>) -> Result<(), PickleError> {
        let items = pairs(items)?;
        match self.top_node()? {
            Node::Dictionary(dictionary) => dictionary.extend(items),
            Node::Call(call) => call.items.extend(items),
            Node::Sequence(_) | Node::Persistent(_) => {
                return Err(broken("it sets entries of something that is not a dictionary"));
            }
        }
        Ok(())
    }

    fn remember(&mut self, key: u64) -> Result<(), PickleError> {
        let top = self.stack.last().copied().ok_or_else(|| broken("it remembers nothing"))?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), PickleError> {
        let value =
            self.memo.get(&key).copied().ok_or_else(|| broken("it recalls what it never remembered"))?;
        self.push(value);
        Ok(())
    }

    /// Pushes what a call would have made. Python's dictionaries are made here; everything else stays a call.
    fn call(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<(), PickleError> {
        let Value::Global(module, name) = function else {
            return self.inert(function, arguments);
        };
        if is_harmful(module, name) {
            return Err(PickleError::WouldRun(format!("{module}.{name}")));
        }
        match (module, name) {
            ("collections", "OrderedDict" | "defaultdict") | ("builtins" | "__builtin__", "dict") => {
                let entries = self.entries(arguments);
                self.push_node(Node::Dictionary(entries));
                Ok(())
            }
            _ => self.inert(function, arguments),
        }
    }

    fn inert(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<(), PickleError> {
        let call = Call { function, arguments, state: Value::Nothing, items: Vec::new() };
        self.push_node(Node::Call(Box::new(call)));
        Ok(())
    }

    /// The entries of a dictionary built from a list of pairs, as in Python 2's pickled ordered dictionaries. The list is
    /// emptied, so that a pickle which makes many dictionaries of one list is not larger here than there.
    fn entries(&mut self, arguments: Value<'a>) -> Vec<(Value<'a>, Value<'a>)> {
        let node = |value: Value| match value {
            Value::Node(index) => Some(index),
            _ => None,
        };
        let list = node(arguments).and_then(|index| match &self.nodes[index] {
            Node::Sequence(arguments) => node(*arguments.first()?),
            _ => None,
        });
        let Some(list) = list else { return Vec::new() };
        let items = match &mut self.nodes[list] {
            Node::Sequence(items) => std::mem::take(items),
            _ => return Vec::new(),
        };
        let pair = |item: Value<'a>| match &self.nodes[node(item)?] {
            Node::Sequence(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
            _ => None,
        };
        items.into_iter().filter_map(pair).collect()
    }

    /// Pushes a persistent reference. Pickled whole models refer to their classes this way, with source code.
    fn persistent(&mut self, identity: Value<'a>) {
        if let Value::Node(index) = identity
            && let Node::Sequence(parts) = &self.nodes[index]
            && let [Value::Text("module"), class, ..] = parts[..]
        {
            return self.push(class);
        }
        self.push_node(Node::Persistent(identity));
    }
}

/// Alternating keys and values as pairs.
fn pairs(items: Vec<Value>) -> Result<Vec<(Value, Value)>, PickleError> {
    let (pairs, []) = items.as_chunks::<2>() else {
        return Err(broken("a dictionary has a key without a value"));
    };
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}
