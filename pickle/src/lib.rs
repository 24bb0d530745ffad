//! Python's pickles, read without executing anything.
//!
//! A pickle is a program for a small stack machine whose `REDUCE` calls any function of the reader's Python. Here nothing is
//! called: a call becomes an inert [`Node::Call`] with the function and its arguments, and the caller interprets the few calls it
//! needs. The opcodes are those of CPython's
//! `pickletools` module.
//!
//! Memory is linear in the pickle's length: texts are borrowed, an opcode adds one value or node at most, and containers move
//! their items off the stack instead of copying them.

mod dictionary;
mod machine;
mod reader;

use thiserror::Error;

pub use self::dictionary::{NumpyArray, PickledDictionary};
use self::machine::Machine;

/// A pickle that is not read, in words that end a sentence about its file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PickleError {
    /// Invalid contents, with the reason.
    #[error("{0}")]
    Malformed(String),
    /// The pickle calls this harmful function.
    #[error("it would run `{0}` on the machine of anyone who loads it with Python; do not trust it")]
    WouldRun(String),
}

/// Most opcodes of a pickle; those of a model of a thousand arrays are about 60,000.
const MOST_OPCODES: usize = 2_000_000;

/// A value on the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
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
    /// Bytes that are not UTF-8.
    Bytes(&'a [u8]),
    /// A class or function: module and name.
    Global(&'a str, &'a str),
    /// Something that holds other values: an index into [`Pickle::nodes`].
    Node(usize),
}

/// Something that holds other values.
#[derive(Debug)]
pub enum Node<'a> {
    /// A tuple, a list or a set.
    Sequence(Vec<Value<'a>>),
    /// A dictionary, in the order of its making.
    Dictionary(Vec<(Value<'a>, Value<'a>)>),
    /// A reference outside of the pickle: the storage of a tensor.
    Persistent(Value<'a>),
    /// An unevaluated call of a class or function.
    Call(Box<Call<'a>>),
}

/// An unevaluated call of a class or function.
#[derive(Debug)]
pub struct Call<'a> {
    /// The class or function.
    pub function: Value<'a>,
    /// A sequence.
    pub arguments: Value<'a>,
    /// What the object was given afterwards: mostly a dictionary of its attributes.
    pub state: Value<'a>,
    /// Items added as to a dictionary or list, the latter without keys.
    pub items: Vec<(Value<'a>, Value<'a>)>,
}

/// What a pickle holds.
#[derive(Debug)]
pub struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    /// The pickled object.
    pub root: Value<'a>,
    /// Bytes of the pickle.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with.
    ///
    /// # Errors
    /// A truncated or invalid pickle, or one that would run a harmful function.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PickleError> {
        let mut machine = Machine::new(bytes);
        for _ in 0..MOST_OPCODES {
            if let Some(root) = machine.step()? {
                let length = machine.position();
                return Ok(Self { nodes: machine.into_nodes(), root, length });
            }
        }
        Err(PickleError::Malformed(format!("its pickle has more than {MOST_OPCODES} opcodes")))
    }

    /// Everything that holds other values.
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// What a value holds, if it holds something.
    pub fn node(&self, value: Value) -> Option<&Node<'a>> {
        match value {
            Value::Node(index) => self.nodes.get(index),
            _ => None,
        }
    }

    /// The items of a tuple or list; none of anything else.
    pub fn sequence(&self, value: Value) -> &[Value<'a>] {
        match self.node(value) {
            Some(Node::Sequence(items)) => items,
            _ => &[],
        }
    }
}

fn broken(reason: impl Into<String>) -> PickleError {
    PickleError::Malformed(format!("its pickle is broken: {}", reason.into()))
}
