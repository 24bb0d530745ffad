//! Python's pickles, read without running anything.
//!
//! A pickle is a program for a small stack machine whose `REDUCE` calls any function of the reader's Python. Here nothing is
//! called: a call becomes an inert [`Node::Call`] that says what would have been called with what, and
//! [`torch`](super::torch) recognises the few calls that stand for tensors. The opcodes are those of CPython's
//! `pickletools` module.
//!
//! Memory is linear in the pickle's length: texts are borrowed, an opcode adds one value or node at most, and containers take
//! their items off the stack instead of copying them.

use std::collections::HashMap;

use super::error::Fault;

/// Most opcodes of a pickle; those of a model of a thousand arrays are about 60,000.
const MOST_OPCODES: usize = 2_000_000;

/// A value on the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// `None`, or something that no checkpoint's arrays depend on.
    Nothing,
    /// A truth value.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text, or bytes that are one.
    Text(&'a str),
    /// A class or function: module and name.
    Global(&'a str, &'a str),
    /// Something that holds other values: an index into [`Pickle::nodes`].
    Node(usize),
}

/// Something that holds other values.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// A tuple, a list or a set.
    Sequence(Vec<Value<'a>>),
    /// A dictionary, in the order of its making.
    Dictionary(Vec<(Value<'a>, Value<'a>)>),
    /// What stands outside of the pickle: the storage of a tensor.
    Persistent(Value<'a>),
    /// What calling a class or function would have made.
    Call(Box<Call<'a>>),
}

/// What calling a class or function would have made.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The class or function.
    pub(super) function: Value<'a>,
    /// A sequence.
    pub(super) arguments: Value<'a>,
    /// What the object was given afterwards: mostly a dictionary of its attributes.
    pub(super) state: Value<'a>,
    /// Items that it was given as a dictionary or list, the latter without keys.
    pub(super) items: Vec<(Value<'a>, Value<'a>)>,
}

/// What a pickle holds.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    /// The pickled object.
    pub(super) root: Value<'a>,
    /// Bytes of the pickle.
    pub(super) length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with.
    ///
    /// # Errors
    /// A pickle that is cut short or makes no sense, or one that would run a function which does harm.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut machine = Machine {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nodes: Vec::new(),
        };
        for _ in 0..MOST_OPCODES {
            if let Some(root) = machine.step()? {
                return Ok(Self { nodes: machine.nodes, root, length: machine.at });
            }
        }
        Err(Fault::malformed(format!("its pickle has more than {MOST_OPCODES} opcodes")))
    }

    /// Everything that holds other values.
    pub(super) fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// What a value holds, if it holds something.
    pub(super) fn node(&self, value: Value) -> Option<&Node<'a>> {
        match value {
            Value::Node(index) => self.nodes.get(index),
            _ => None,
        }
    }

    /// The items of a tuple or list; none of anything else.
    pub(super) fn sequence(&self, value: Value) -> &[Value<'a>] {
        match self.node(value) {
            Some(Node::Sequence(items)) => items,
            _ => &[],
        }
    }
}

/// Modules of Python of which weights need nothing, and every call does something to the machine.
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

/// The like among Python's own functions.
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
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at which containers begin.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    nodes: Vec<Node<'a>>,
}

impl<'a> Machine<'a> {
    /// Runs one opcode; gives the object when the pickle is complete.
    fn step(&mut self) -> Result<Option<Value<'a>>, Fault> {
        let [opcode] = self.array()?;
        match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.take(1)?),               // PROTO
            0x95 => drop(self.take(8)?),               // FRAME
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
                let length = self.length(1)?;
                self.integer(length, true)?;
            }
            0x8b => {
                let length = self.length(4)?;
                self.integer(length, true)?;
            }
            b'I' | b'L' => {
                let line = self.line()?.trim_end_matches('L');
                self.push(match line {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    line => line.parse().map_or(Value::Nothing, Value::Int),
                });
            }
            b'G' => {
                let float = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(float));
            }
            b'F' => {
                let line = self.line()?;
                self.push(line.parse().map_or(Value::Nothing, Value::Float));
            }

            b'X' | b'T' | b'B' => self.text(4)?,
            0x8c | b'U' | b'C' => self.text(1)?,
            0x8d | 0x8e | 0x96 => self.text(8)?,
            b'S' => {
                let line = self.line()?;
                self.push(Value::Text(line.trim_matches(['\'', '"'])));
            }
            b'V' => {
                let line = self.line()?;
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
                let line = self.line()?;
                let key = line.parse().map_err(|_| broken("it remembers under no number"))?;
                if opcode == b'p' { self.remember(key)? } else { self.recall(key)? }
            }
            b'q' => {
                let key = self.length(1)? as u64;
                self.remember(key)?;
            }
            b'r' => {
                let key = self.length(4)? as u64;
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' => {
                let key = self.length(1)? as u64;
                self.recall(key)?;
            }
            b'j' => {
                let key = self.length(4)? as u64;
                self.recall(key)?;
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
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
                let (module, name) = (self.line()?, self.line()?);
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
                let line = self.line()?;
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

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(length);
        let taken =
            end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| broken("it is cut short"))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        Ok(self.take(N)?.try_into().expect("so many bytes were taken"))
    }

    /// The rest of the line, which ends with a line feed.
    fn line(&mut self) -> Result<&'a str, Fault> {
        let rest = self.take(self.bytes.len() - self.at)?;
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| broken("it is cut short"))?;
        self.at = self.bytes.len() - rest.len() + end + 1;
        str::from_utf8(&rest[..end]).map_err(|_| broken("a name in it is no text"))
    }

    /// An unsigned number of `width` bytes, as a length or a key.
    fn length(&mut self, width: usize) -> Result<usize, Fault> {
        let bytes = self.take(width)?;
        let number = bytes.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        usize::try_from(number).map_err(|_| broken("it is cut short"))
    }

    /// Pushes a little-endian integer of `width` bytes.
    fn integer(&mut self, width: usize, signed: bool) -> Result<(), Fault> {
        let bytes = self.take(width)?;
        let negative = signed && bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut extended = [if negative { 0xFF } else { 0 }; 8];
        let value = match extended.get_mut(..width) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(extended))
            }
            None => Value::Nothing,
        };
        self.push(value);
        Ok(())
    }

    /// Pushes a text whose length stands before it in `width` bytes; bytes that are no text are of no interest.
    fn text(&mut self, width: usize) -> Result<(), Fault> {
        let length = self.length(width)?;
        let text = str::from_utf8(self.take(length)?);
        self.push(text.map_or(Value::Nothing, Value::Text));
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

    fn pop(&mut self) -> Result<Value<'a>, Fault> {
        Ok(self.pop_many(1)?[0])
    }

    /// The topmost `count` values, the topmost last.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count).filter(|start| *start >= floor) {
            Some(start) => Ok(self.stack.split_off(start)),
            None => Err(broken("it takes more from its stack than it put there")),
        }
    }

    /// The values above the topmost mark.
    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, Fault> {
        let mark = self.marks.pop().ok_or_else(|| broken("it ends a list that it did not begin"))?;
        // Never above the stack's height: nothing is popped from below the topmost mark.
        Ok(self.stack.split_off(mark))
    }

    /// The container on top of the stack.
    fn top_node(&mut self) -> Result<&mut Node<'a>, Fault> {
        match self.stack.last() {
            Some(&Value::Node(index)) => Ok(&mut self.nodes[index]),
            _ => Err(broken("it fills something that holds nothing")),
        }
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<(), Fault> {
        match self.top_node()? {
            Node::Sequence(sequence) => sequence.extend(items),
            Node::Call(call) => call.items.extend(items.into_iter().map(|item| (Value::Nothing, item))),
            Node::Dictionary(_) | Node::Persistent(_) => {
                return Err(broken("it appends to something that is no list"));
            }
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value<'a>>) -> Result<(), Fault> {
        let items = pairs(items)?;
        match self.top_node()? {
            Node::Dictionary(dictionary) => dictionary.extend(items),
            Node::Call(call) => call.items.extend(items),
            Node::Sequence(_) | Node::Persistent(_) => {
                return Err(broken("it sets entries of something that is no dictionary"));
            }
        }
        Ok(())
    }

    fn remember(&mut self, key: u64) -> Result<(), Fault> {
        let top = self.stack.last().copied().ok_or_else(|| broken("it remembers nothing"))?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), Fault> {
        let value =
            self.memo.get(&key).copied().ok_or_else(|| broken("it recalls what it never remembered"))?;
        self.push(value);
        Ok(())
    }

    /// Pushes what a call would have made. Python's dictionaries are made here; everything else stays a call.
    fn call(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<(), Fault> {
        let Value::Global(module, name) = function else {
            return self.inert(function, arguments);
        };
        if is_harmful(module, name) {
            return Err(Fault::WouldRun(format!("{module}.{name}")));
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

    fn inert(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<(), Fault> {
        let call = Call { function, arguments, state: Value::Nothing, items: Vec::new() };
        self.push_node(Node::Call(Box::new(call)));
        Ok(())
    }

    /// The entries of a dictionary that is made of a list of pairs, as Python 2 pickled ordered ones. The list is
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

    /// Pushes what stands outside of the pickle. Where whole models were pickled, their classes do, with their source code.
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
fn pairs(items: Vec<Value>) -> Result<Vec<(Value, Value)>, Fault> {
    let (pairs, []) = items.as_chunks::<2>() else {
        return Err(broken("a dictionary has a key without a value"));
    };
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

fn broken(reason: impl Into<String>) -> Fault {
    Fault::Malformed(format!("its pickle is broken: {}", reason.into()))
}
