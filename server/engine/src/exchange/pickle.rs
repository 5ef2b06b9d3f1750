//! Pickles, read as data. A pickle is a program for a small machine that may call anything in Python; this reader runs the part of the
//! machine that builds lists, dictionaries and strings, and knows the few calls of which torch's state dicts are made as descriptions of
//! tensors. It calls nothing. Any other name that a pickle asks for ends the reading, with that name.
//!
//! A few bytes may ask for a value to be copied again and again: what is copied counts against a budget that follows from the pickle's
//! length, before it is copied.

use safetensors::Dtype;
use std::collections::HashMap;

/// Values that a pickle may make, and remember; a state dict has some hundreds.
const MOST_VALUES: usize = 1 << 20;
/// What may be copied for each byte of a pickle, in items of lists and bytes of strings.
const COPIES_PER_BYTE: usize = 16;

/// Where a value lies in [`Pickle`].
pub type Id = usize;

/// What a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Name {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_parameter`.
    Parameter,
    /// `torch.FloatStorage` and the like.
    Storage(Dtype),
    /// A class whose objects are kept as their attributes.
    Class(&'static str),
}

/// Names and what they stand for.
const NAMES: &[(&str, &str, Name)] = &[
    ("collections", "OrderedDict", Name::OrderedDict),
    ("torch._utils", "_rebuild_tensor_v2", Name::Tensor),
    ("torch._utils", "_rebuild_parameter", Name::Parameter),
    ("torch", "FloatStorage", Name::Storage(Dtype::F32)),
    ("torch", "DoubleStorage", Name::Storage(Dtype::F64)),
    ("torch", "HalfStorage", Name::Storage(Dtype::F16)),
    ("torch", "BFloat16Storage", Name::Storage(Dtype::BF16)),
    ("torch", "LongStorage", Name::Storage(Dtype::I64)),
    ("torch", "IntStorage", Name::Storage(Dtype::I32)),
    ("torch", "BoolStorage", Name::Storage(Dtype::BOOL)),
    ("autoencoders.learned_dict", "TiedSAE", Name::Class("TiedSAE")),
    ("autoencoders.learned_dict", "UntiedSAE", Name::Class("UntiedSAE")),
];

/// A tensor as torch describes it: a view of a storage.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The storage's name in the archive.
    pub key: String,
    /// Its numbers' type.
    pub dtype: Dtype,
    /// How many numbers it holds.
    pub stored: usize,
    /// Where the view begins, in numbers.
    pub offset: usize,
    /// The shape.
    pub shape: Vec<usize>,
    /// Per dimension, how far its next element is, in numbers.
    pub stride: Vec<usize>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A string.
    Text(String),
    /// A list or a tuple.
    List(Vec<Id>),
    /// A dictionary, in its order.
    Dict(Vec<(Id, Id)>),
    /// A name.
    Name(Name),
    /// A storage: its name in the archive, its type and the numbers in it.
    Storage(String, Dtype, usize),
    /// A tensor.
    Tensor(View),
    /// An object of a known class: its attributes.
    Object(&'static str, Vec<(Id, Id)>),
}

/// A pickle's values. They refer to each other by place, so that what a pickle makes circular stays harmless.
#[derive(Clone, Debug)]
pub struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    /// Reads a whole pickle.
    ///
    /// # Errors
    /// What was found that is not part of a state dict, or that the pickle is cut off.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut machine = Machine {
            rest: bytes,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copies: bytes.len().saturating_mul(COPIES_PER_BYTE),
        };
        let root = machine.run()?;
        Ok(Self {
            nodes: machine.nodes,
            root,
        })
    }

    /// The value that the pickle is of.
    pub fn root(&self) -> &Node {
        &self.nodes[self.root]
    }

    /// A value.
    pub fn get(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// A string.
    pub fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[id] {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries whose keys are strings.
    pub fn entries<'a>(&'a self, pairs: &'a [(Id, Id)]) -> impl Iterator<Item = (&'a str, &'a Node)> {
        pairs
            .iter()
            .filter_map(|(key, value)| Some((self.text(*key)?, self.get(*value))))
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
    /// How much may still be copied.
    copies: usize,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            if self.nodes.len().max(self.memo.len()) >= MOST_VALUES {
                return Err(format!("makes more than {MOST_VALUES} values, and no dictionary's does"));
            }
            let code = self.bytes(1)?[0];
            match code {
                // protocol and frame: how it is written, not what
                0x80 => drop(self.bytes(1)?),
                0x95 => drop(self.bytes(8)?),
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'N' => self.push(Node::None),
                0x88 => self.push(Node::Bool(true)),
                0x89 => self.push(Node::Bool(false)),
                b'K' | b'M' => {
                    let n = self.unsigned(if code == b'K' { 1 } else { 2 })?;
                    self.push(Node::Int(n as i64));
                }
                b'J' => {
                    let n = self.unsigned(4)? as u32 as i32;
                    self.push(Node::Int(n.into()));
                }
                0x8a => self.long()?,
                b'G' => {
                    let bits = self.bytes(8)?.iter().fold(0, |n, b| n << 8 | u64::from(*b));
                    self.push(Node::Float(f64::from_bits(bits)));
                }
                b'X' | b'T' => self.string(4)?,
                0x8c | b'U' => self.string(1)?,
                0x8d => self.string(8)?,
                b'}' => self.push(Node::Dict(Vec::new())),
                b']' | b')' => self.push(Node::List(Vec::new())),
                0x85 => self.collect(1)?,
                0x86 => self.collect(2)?,
                0x87 => self.collect(3)?,
                b't' | b'l' => {
                    let items = self.pop_to_mark()?;
                    self.push(Node::List(items));
                }
                b'd' => {
                    let items = self.pop_to_mark()?;
                    self.push(Node::Dict(pairs(&items)?));
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(vec![(key, value)])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set(pairs(&items)?)?;
                }
                b'q' | b'r' => {
                    let n = self.unsigned(if code == b'q' { 1 } else { 4 })?;
                    self.memo.insert(n as usize, self.top()?);
                }
                0x94 => {
                    self.memo.insert(self.memo.len(), self.top()?);
                }
                b'h' | b'j' => {
                    let n = self.unsigned(if code == b'h' { 1 } else { 4 })? as usize;
                    let id = self
                        .memo
                        .get(&n)
                        .ok_or_else(|| format!("refers to a value {n} that it has not made"))?;
                    self.stack.push(*id);
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Node::Name(known(&module, &name)?));
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    match (&self.nodes[module], &self.nodes[name]) {
                        (Node::Text(module), Node::Text(name)) => {
                            let known = known(module, name)?;
                            self.push(Node::Name(known));
                        }
                        _ => return Err("names something by what is no string".into()),
                    }
                }
                b'Q' => self.storage()?,
                b'R' | 0x81 => self.call()?,
                b'b' => self.build()?,
                other => return Err(format!("has the instruction 0x{other:02x}, of which no state dict is made")),
            }
        }
    }

    fn bytes(&mut self, n: usize) -> Result<&'a [u8], String> {
        if n > self.rest.len() {
            return Err("is cut off".into());
        }
        let (now, rest) = self.rest.split_at(n);
        self.rest = rest;
        Ok(now)
    }

    fn unsigned(&mut self, n: usize) -> Result<u64, String> {
        Ok(self.bytes(n)?.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b)))
    }

    /// A whole number of up to eight bytes, two's complement.
    fn long(&mut self) -> Result<(), String> {
        let n = self.unsigned(1)? as usize;
        if n > 8 {
            return Err(format!("has a whole number of {n} bytes; expected 8 at most"));
        }
        let shift = 64 - 8 * n as u32;
        let bits = self.unsigned(n)?;
        let value = if n == 0 { 0 } else { ((bits << shift) as i64) >> shift };
        self.push(Node::Int(value));
        Ok(())
    }

    fn string(&mut self, length: usize) -> Result<(), String> {
        let n = usize::try_from(self.unsigned(length)?).map_err(|_| "is cut off")?;
        let text = std::str::from_utf8(self.bytes(n)?).map_err(|_| "has a string that is no UTF-8")?;
        self.push(Node::Text(text.to_owned()));
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let n = self.rest.iter().position(|b| *b == b'\n').ok_or("is cut off")?;
        let line = String::from_utf8_lossy(self.bytes(n)?).into_owned();
        self.bytes(1)?;
        Ok(line)
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// The lowest place of the stack that may be taken now.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id, String> {
        let found = self.stack.last().filter(|_| self.stack.len() > self.floor());
        found.copied().ok_or_else(|| "takes a value that is not there".into())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("ends a list that it has not begun")?;
        Ok(self.stack.split_off(mark))
    }

    fn collect(&mut self, n: usize) -> Result<(), String> {
        if self.stack.len() < self.floor() + n {
            return Err("takes a value that is not there".into());
        }
        let items = self.stack.split_off(self.stack.len() - n);
        self.push(Node::List(items));
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), String> {
        let list = self.top()?;
        match &mut self.nodes[list] {
            Node::List(list) => list.extend(items),
            _ => return Err("appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<(Id, Id)>) -> Result<(), String> {
        let dict = self.top()?;
        match &mut self.nodes[dict] {
            Node::Dict(dict) => dict.extend(items),
            _ => return Err("sets an entry of what is no dictionary".into()),
        }
        Ok(())
    }

    /// Takes what is about to be copied from what may be.
    fn copy(&mut self, size: usize) -> Result<(), String> {
        self.copies = self.copies.checked_sub(size).ok_or_else(|| {
            format!("has its values copied beyond {COPIES_PER_BYTE} times its length, and no dictionary's does: it is made to fill the memory")
        })?;
        Ok(())
    }

    /// What torch keeps outside the pickle: ('storage', type, name, device, length).
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        if let Node::List(items) = &self.nodes[id] {
            self.copy(items.iter().map(|item| self.size(*item)).sum())?;
        }
        let found = match &self.nodes[id] {
            Node::List(items) => match items.iter().map(|i| &self.nodes[*i]).collect::<Vec<_>>()[..] {
                [
                    Node::Text(what),
                    Node::Name(Name::Storage(dtype)),
                    Node::Text(key),
                    _,
                    Node::Int(n),
                ] if what == "storage" => usize::try_from(*n).ok().map(|n| Node::Storage(key.clone(), *dtype, n)),
                _ => None,
            },
            _ => None,
        };
        self.push(found.ok_or("refers to something outside that is no storage of torch's")?);
        Ok(())
    }

    /// The calls that are known, none of which is made: what they would make is described.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, name) = (self.pop()?, self.pop()?);
        self.copy(self.size(arguments))?;
        let (Node::List(arguments), Node::Name(name)) = (self.nodes[arguments].clone(), self.nodes[name].clone()) else {
            return Err("calls what is no name".into());
        };
        // of what is made, whatever it is, no more is copied than its arguments hold
        self.copy(arguments.iter().map(|id| self.size(*id)).sum())?;
        let made = match (name, &arguments[..]) {
            (Name::OrderedDict, []) => Node::Dict(Vec::new()),
            (Name::OrderedDict, [entries]) => Node::Dict(self.entries_of(*entries)?),
            (Name::Tensor, [storage, offset, shape, stride, ..]) => {
                Node::Tensor(self.view([*storage, *offset, *shape, *stride])?)
            }
            (Name::Parameter, [tensor, ..]) if matches!(self.nodes[*tensor], Node::Tensor(_)) => self.nodes[*tensor].clone(),
            (Name::Class(class), []) => Node::Object(class, Vec::new()),
            _ => {
                return Err(format!(
                    "calls {name:?} with {} arguments, as torch does not",
                    arguments.len()
                ));
            }
        };
        self.push(made);
        Ok(())
    }

    /// What a copy of a value takes, in items of lists and bytes of strings.
    fn size(&self, id: Id) -> usize {
        match &self.nodes[id] {
            Node::List(items) => items.len(),
            Node::Dict(entries) | Node::Object(_, entries) => 2 * entries.len(),
            Node::Text(text) => text.len(),
            Node::Storage(key, ..) => key.len(),
            Node::Tensor(view) => view.key.len() + view.shape.len() + view.stride.len(),
            _ => 1,
        }
    }

    /// The entries that a list of pairs stands for.
    fn entries_of(&self, list: Id) -> Result<Vec<(Id, Id)>, String> {
        let wrong = || "makes an ordered dictionary of what is no list of pairs".to_owned();
        let Node::List(items) = &self.nodes[list] else {
            return Err(wrong());
        };
        let pair = |item: &Id| match &self.nodes[*item] {
            Node::List(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err(wrong()),
        };
        items.iter().map(pair).collect()
    }

    fn view(&self, [storage, offset, shape, stride]: [Id; 4]) -> Result<View, String> {
        let numbers = |id: Id| -> Option<Vec<usize>> {
            let Node::List(items) = &self.nodes[id] else { return None };
            let number = |item: &Id| match self.nodes[*item] {
                Node::Int(n) => usize::try_from(n).ok(),
                _ => None,
            };
            items.iter().map(number).collect()
        };
        match (&self.nodes[storage], &self.nodes[offset], numbers(shape), numbers(stride)) {
            (Node::Storage(key, dtype, stored), Node::Int(offset @ 0..), Some(shape), Some(stride))
                if shape.len() == stride.len() =>
            {
                Ok(View {
                    key: key.clone(),
                    dtype: *dtype,
                    stored: *stored,
                    offset: *offset as usize,
                    shape,
                    stride,
                })
            }
            _ => Err("describes a tensor as torch does not".into()),
        }
    }

    /// Gives an object its attributes. A state dict's own, its modules' versions, say nothing of the numbers.
    fn build(&mut self) -> Result<(), String> {
        let (state, object) = (self.pop()?, self.top()?);
        self.copy(self.size(state))?;
        let Node::Dict(attributes) = self.nodes[state].clone() else {
            return Err("gives an object attributes that are no dictionary".into());
        };
        match &mut self.nodes[object] {
            Node::Object(_, own) => *own = attributes,
            Node::Dict(_) => {}
            _ => return Err("gives attributes to what is no object".into()),
        }
        Ok(())
    }
}

/// What a name stands for.
fn known(module: &str, name: &str) -> Result<Name, String> {
    let known = NAMES.iter().find(|known| (known.0, known.1) == (module, name));
    let known = known.ok_or_else(|| {
        format!(
            "asks for '{module}.{name}', which is no part of a state dict; a pickle can run code, so it is read as data and nothing of it \
             is executed"
        )
    })?;
    Ok(known.2)
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    match items.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err("has a dictionary with a key that has no value".into()),
    }
}
