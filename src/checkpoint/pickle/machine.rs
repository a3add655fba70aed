//! The stack machine: opcodes -> values.

use std::ops::Range;
use std::path::Path;

use super::value::{Arena, Id, Value};
use super::{MAX_ENTRIES, Pickle, globals, opcodes as op};
use crate::error::{Error, Result};

/// Bytes of a name that a message shows.
const MAX_SHOWN: usize = 100;

/// A pickle that is being read.
pub(super) struct Machine<'a, 'p> {
    path: &'p Path,
    bytes: &'a [u8],
    at: usize,
    end: usize,
    opcode_at: usize,
    pub(super) arena: Arena<'a>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
    n_memoized: usize,
    n_items: usize,
}

impl<'a, 'p> Machine<'a, 'p> {
    /// A machine before the first byte of `range`.
    pub(super) fn new(path: &'p Path, bytes: &'a [u8], range: Range<usize>) -> Self {
        Self {
            path,
            bytes,
            at: range.start,
            end: range.end.min(bytes.len()),
            opcode_at: range.start,
            arena: Arena::new(bytes),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            n_memoized: 0,
            n_items: 0,
        }
    }

    /// Runs to `STOP`.
    pub(super) fn run(mut self) -> Result<Pickle<'a>> {
        if self.byte()? != op::PROTO || !matches!(self.byte()?, 2..=5) {
            return Err(self.fail("no pickle of protocol 2 to 5 begins"));
        }
        loop {
            self.opcode_at = self.at;
            match self.byte()? {
                op::STOP => break,
                opcode => self.step(opcode)?,
            }
        }
        let root = self.pop()?;
        Ok(Pickle { arena: self.arena, root, end: self.at })
    }

    /// What is wrong at the opcode that is being run.
    pub(super) fn fail(&self, reason: impl std::fmt::Display) -> Error {
        Error::model(self.path, format!("pickle, at byte {}: {reason}", self.opcode_at))
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::FRAME => self.frame(),
            op::MARK if self.marks.len() >= MAX_ENTRIES => Err(self.fail("too many marks")),
            op::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            // As in Python, a mark on top counts as an entry of the stack here.
            op::POP if self.marks.last() == Some(&self.stack.len()) => self.above_mark().map(drop),
            op::POP => self.pop().map(drop),
            op::POP_MARK => self.above_mark().map(drop),
            op::DUP => self.top().and_then(|top| self.push(top)),
            op::BINPUT => self.byte().and_then(|index| self.put(usize::from(index))),
            op::LONG_BINPUT => self.u32().and_then(|index| self.put(index)),
            op::MEMOIZE => self.put(self.n_memoized),
            op::BINGET => self.byte().and_then(|index| self.recall(usize::from(index))),
            op::LONG_BINGET => self.u32().and_then(|index| self.recall(index)),
            op::GLOBAL => self.global(),
            op::STACK_GLOBAL => self.stack_global(),
            op::REDUCE => self.reduce(),
            op::BUILD => self.build(),
            op::BINPERSID => self.persistent(),
            _ => self.container(opcode),
        }
    }

    fn container(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::EMPTY_TUPLE => self.make(Value::Tuple(Vec::new())),
            op::TUPLE1 => self.tuple(1),
            op::TUPLE2 => self.tuple(2),
            op::TUPLE3 => self.tuple(3),
            op::TUPLE => {
                let items = self.items_above_mark()?;
                self.make(Value::Tuple(items))
            }
            op::EMPTY_LIST => self.make(Value::List(Vec::new())),
            op::LIST => {
                let items = self.items_above_mark()?;
                self.make(Value::List(items))
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            op::APPENDS => self.above_mark().and_then(|items| self.append(items)),
            op::EMPTY_DICT => self.make(Value::Dict { items: Vec::new(), is_ordered: false }),
            op::DICT => {
                let items = self.above_mark()?;
                self.make(Value::Dict { items: Vec::new(), is_ordered: false })?;
                self.set_items(&items)
            }
            op::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])
            }
            op::SETITEMS => self.above_mark().and_then(|items| self.set_items(&items)),
            _ => self.number(opcode).and_then(|value| self.make(value)),
        }
    }

    fn number(&mut self, opcode: u8) -> Result<Value> {
        Ok(match opcode {
            op::NONE => Value::None,
            op::NEWTRUE => Value::Bool(true),
            op::NEWFALSE => Value::Bool(false),
            op::BININT => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            op::BININT1 => Value::Int(i64::from(self.byte()?)),
            op::BININT2 => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            op::LONG1 => {
                let n_bytes = usize::from(self.byte()?);
                self.long(n_bytes)?
            }
            op::LONG4 => {
                let n_bytes = self.length_i32()?;
                self.long(n_bytes)?
            }
            op::BINFLOAT => {
                self.take(8)?;
                Value::Float
            }
            _ => self.string(opcode)?,
        })
    }

    fn string(&mut self, opcode: u8) -> Result<Value> {
        let n_bytes = match opcode {
            op::BINSTRING => self.length_i32()?,
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE | op::SHORT_BINBYTES => usize::from(self.byte()?),
            op::BINUNICODE | op::BINBYTES => self.u32()?,
            op::BINUNICODE8 | op::BINBYTES8 | op::BYTEARRAY8 => self.length_u64()?,
            _ => return Err(self.fail(format!("opcode 0x{opcode:02x}, which no file of weights needs; refused"))),
        };
        let range = self.take(n_bytes)?;
        Ok(match opcode {
            op::BINSTRING | op::SHORT_BINSTRING => Value::ByteText(range),
            op::BINUNICODE | op::SHORT_BINUNICODE | op::BINUNICODE8 => Value::Text(range),
            _ => Value::Bytes(range),
        })
    }

    /// Frames only matter to readers of streams; one that ends behind the file shows that the file was cut.
    fn frame(&mut self) -> Result<()> {
        let n_bytes = self.length_u64()?;
        let left = self.end - self.at;
        if n_bytes > left {
            return Err(self.fail(format!("truncated: a frame of {n_bytes} bytes, of which {left} are there")));
        }
        Ok(())
    }

    fn long(&mut self, n_bytes: usize) -> Result<Value> {
        let range = self.take(n_bytes)?;
        let digits = self.arena.slice(&range);
        if digits.len() > 8 {
            return Ok(Value::Long(range));
        }
        let is_negative = digits.last().is_some_and(|last| last & 0x80 != 0);
        let sign = if is_negative { -1_i64 } else { 0 };
        Ok(Value::Int(digits.iter().rev().fold(sign, |number, digit| number << 8 | i64::from(*digit))))
    }

    fn global(&mut self) -> Result<()> {
        let module = self.line()?;
        let name = self.line()?;
        self.push_global(module, name)
    }

    fn stack_global(&mut self) -> Result<()> {
        let name = self.pop()?;
        let module = self.pop()?;
        match (self.arena.get(module), self.arena.get(name)) {
            (Value::Text(module), Value::Text(name)) => {
                let (module, name) = (self.arena.slice(module), self.arena.slice(name));
                self.push_global(module, name)
            }
            _ => Err(self.fail("the name of a global is no string")),
        }
    }

    fn push_global(&mut self, module: &[u8], name: &[u8]) -> Result<()> {
        match globals::lookup(module, name) {
            Some(global) => self.make(Value::Global(global)),
            None => {
                let shown = format!("{}.{}", shown(module), shown(name));
                Err(self.fail(format!("it asks for {shown}, which no file of weights needs; refused")))
            }
        }
    }

    fn put(&mut self, index: usize) -> Result<()> {
        let top = self.top()?;
        if index >= MAX_ENTRIES {
            return Err(self.fail(format!("memo entry {index}, more than the {MAX_ENTRIES} allowed")));
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        if let Some(entry) = self.memo.get_mut(index) {
            // MEMOIZE takes the number of entries there are, as Python does.
            self.n_memoized += usize::from(entry.is_none());
            *entry = Some(top);
        }
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Result<()> {
        match self.memo.get(index) {
            Some(Some(id)) => self.push(*id),
            _ => Err(self.fail(format!("memo entry {index} is not there"))),
        }
    }

    /// Pushes a new value.
    pub(super) fn make(&mut self, value: Value) -> Result<()> {
        match self.arena.add(value, MAX_ENTRIES) {
            Some(id) => self.push(id),
            None => Err(self.fail(format!("more than {MAX_ENTRIES} objects"))),
        }
    }

    fn push(&mut self, id: Id) -> Result<()> {
        if self.stack.len() >= MAX_ENTRIES {
            return Err(self.fail(format!("more than {MAX_ENTRIES} entries on the stack")));
        }
        self.stack.push(id);
        Ok(())
    }

    /// The top of the stack, down to the last mark.
    pub(super) fn top(&self) -> Result<Id> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(bottom..).and_then(|above| above.last());
        above.copied().ok_or_else(|| self.fail("the stack is empty"))
    }

    /// Takes the top of the stack.
    pub(super) fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn above_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.fail("no mark is on the stack")),
        }
    }

    fn items_above_mark(&mut self) -> Result<Vec<Id>> {
        let items = self.above_mark()?;
        self.count_items(items.len())?;
        Ok(items)
    }

    fn tuple(&mut self, n: usize) -> Result<()> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(n).filter(|at| *at >= bottom) {
            Some(at) => {
                self.count_items(n)?;
                let items = self.stack.split_off(at);
                self.make(Value::Tuple(items))
            }
            None => Err(self.fail("the stack is too short for a tuple")),
        }
    }

    fn append(&mut self, mut new: Vec<Id>) -> Result<()> {
        self.count_items(new.len())?;
        let list = self.top()?;
        match self.arena.get_mut(list) {
            Some(Value::List(items)) => {
                items.append(&mut new);
                Ok(())
            }
            _ => Err(self.fail(format!("appends to {}", self.arena.get(list).kind()))),
        }
    }

    fn set_items(&mut self, new: &[Id]) -> Result<()> {
        let (pairs, rest) = new.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.fail("a key without a value"));
        }
        self.count_items(pairs.len())?;
        let dict = self.top()?;
        match self.arena.get_mut(dict) {
            Some(Value::Dict { items, .. }) => {
                items.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                Ok(())
            }
            _ => Err(self.fail(format!("puts entries into {}", self.arena.get(dict).kind()))),
        }
    }

    /// Counts entries of containers; those that the memo repeats cost memory, too.
    pub(super) fn count_items(&mut self, n: usize) -> Result<()> {
        self.n_items += n;
        if self.n_items > MAX_ENTRIES {
            return Err(self.fail(format!("more than {MAX_ENTRIES} entries in containers")));
        }
        Ok(())
    }

    fn take(&mut self, n_bytes: usize) -> Result<Range<usize>> {
        let left = self.end.saturating_sub(self.at);
        if n_bytes > left {
            return Err(self.fail(format!("truncated: {n_bytes} bytes follow, of which {left} are there")));
        }
        let start = self.at;
        self.at += n_bytes;
        Ok(start..self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let range = self.take(N)?;
        self.arena.slice(&range).try_into().map_err(|_| self.fail("truncated"))
    }

    fn byte(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn u32(&mut self) -> Result<usize> {
        let number = u32::from_le_bytes(self.array()?);
        usize::try_from(number).map_err(|_| self.fail("a number that this machine cannot hold"))
    }

    fn length_i32(&mut self) -> Result<usize> {
        let number = i32::from_le_bytes(self.array()?);
        usize::try_from(number).map_err(|_| self.fail("a negative length"))
    }

    fn length_u64(&mut self) -> Result<usize> {
        let number = u64::from_le_bytes(self.array()?);
        usize::try_from(number).map_err(|_| self.fail("a length that this machine cannot hold"))
    }

    fn line(&mut self) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..self.end).unwrap_or(&[]);
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(n_bytes) => {
                self.at += n_bytes + 1;
                Ok(rest.split_at(n_bytes).0)
            }
            None => Err(self.fail("truncated: the name of a global does not end")),
        }
    }
}

/// A name out of a file, made short and harmless for a message.
fn shown(name: &[u8]) -> String {
    let start = name.get(..MAX_SHOWN).unwrap_or(name);
    let dots = if start.len() < name.len() { "..." } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(start).escape_debug())
}
