//! What must be known of a Paddle program, `.pdmodel` or `__model__`, whose weights are read without it.
//!
//! In: the path of a `ProgramDesc`. Out: [`ProgramFacts`]: the names of its parameters, and what its operators say of the
//! network. The program is not run, and its shapes are not compared with the weights; that is `canonical`'s.
//!
//! The file is walked in place, in the wire format of protocol buffers, twice: operators may come before the variables
//! that they take. The field numbers are those of `paddle/fluid/framework/framework.proto`.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::tensors::ProgramFacts;
use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;
use crate::wire::{Field, NoMessage, next_field, varint};

/// Persistable variables that hold no weights: `FEED_MINIBATCH`, `FETCH_LIST` and `RAW` of `VarType.Type`.
const NO_WEIGHTS: [u64; 3] = [9, 10, 17];
/// What Paddle takes for a `layer_norm` that does not say it.
const DEFAULT_EPSILON: f32 = 1e-5;
/// Bytes of an operator's type, at most: it is copied for every parameter that the operator takes.
const MAX_TYPE_BYTES: usize = 256;
/// Arguments of one operator, at most.
const MAX_ARGUMENTS: usize = 1 << 16;
/// Integers of an attribute that are kept: one more than the shapes that are looked for have.
const MAX_INTEGERS: usize = 5;
/// Parameters that operators take, at most, so that a small file cannot fill the memory with copies.
const MAX_USES: usize = 1 << 16;

/// Reads the program at `path`.
///
/// # Errors
/// - [`Error::NotFound`], [`Error::Io`]: the file is not there or not readable.
/// - [`Error::InvalidModel`]: empty, truncated or not a program; names that are missing or not UTF-8; values that no
///   network has.
pub(crate) fn read(path: &Path) -> Result<ProgramFacts> {
    let file = MappedFile::open(path)?;
    parse(path, file.bytes())
}

/// The facts of a program of these bytes; `path` is for messages.
///
/// # Errors
/// [`Error::InvalidModel`], as [`read`].
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<ProgramFacts> {
    let walk = Walk { path, start: bytes.as_ptr() };
    let mut blocks = Vec::new();
    walk.fields(bytes, |number, field| {
        if let (1, Field::Bytes(block)) = (number, field) {
            blocks.push(block);
        }
        Ok(())
    })?;
    if blocks.is_empty() {
        return Err(walk.fail(bytes, "not a Paddle program: it holds no block"));
    }
    let mut persistables = BTreeSet::new();
    for block in &blocks {
        walk.fields(block, |number, field| {
            if let (3, Field::Bytes(variable)) = (number, field) {
                persistables.extend(walk.persistable(variable)?);
            }
            Ok(())
        })?;
    }
    let mut survey = Survey { persistables, ..Survey::default() };
    for block in &blocks {
        walk.fields(block, |number, field| match (number, field) {
            (4, Field::Bytes(message)) => survey.add(&walk, message, &walk.operator(message)?),
            _ => Ok(()),
        })?;
    }
    Ok(survey.facts())
}

/// Reads messages of one file.
struct Walk<'a> {
    path: &'a Path,
    start: *const u8,
}

impl Walk<'_> {
    /// An error at the place of `part`, a slice of the file.
    fn fail(&self, part: &[u8], reason: impl std::fmt::Display) -> Error {
        let at = part.as_ptr().addr() - self.start.addr();
        Error::model(self.path, format!("at byte {at}: {reason}"))
    }

    /// Hands every field of `message` to `each`.
    fn fields<'m>(&self, message: &'m [u8], mut each: impl FnMut(u64, Field<'m>) -> Result<()>) -> Result<()> {
        let mut rest = message;
        loop {
            let here = rest;
            match next_field(&mut rest) {
                Ok(Some((number, field))) => each(number, field)?,
                Ok(None) => return Ok(()),
                Err(NoMessage) => return Err(self.fail(here, "not a Paddle program, or truncated: no field")),
            }
        }
    }

    /// A name.
    fn text<'m>(&self, bytes: &'m [u8]) -> Result<&'m str> {
        std::str::from_utf8(bytes).map_err(|_| self.fail(bytes, "a name that is not UTF-8"))
    }

    /// The name of a `VarDesc` that holds weights.
    fn persistable<'m>(&self, message: &'m [u8]) -> Result<Option<&'m str>> {
        let (mut name, mut kind, mut is_persistable) = (None, 0, false);
        self.fields(message, |number, field| {
            match (number, field) {
                (1, Field::Bytes(bytes)) => name = Some(self.text(bytes)?),
                (2, Field::Bytes(var_type)) => self.fields(var_type, |number, field| {
                    if let (1, Field::Number(value)) = (number, field) {
                        kind = value;
                    }
                    Ok(())
                })?,
                (3, Field::Number(value)) => is_persistable = value != 0,
                _ => {}
            }
            Ok(())
        })?;
        let name = name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| self.fail(message, "a variable without a name"))?;
        Ok((is_persistable && !NO_WEIGHTS.contains(&kind)).then_some(name))
    }

    /// An `OpDesc`.
    fn operator<'m>(&self, message: &'m [u8]) -> Result<Operator<'m>> {
        let mut operator = Operator { epsilon: DEFAULT_EPSILON, ..Operator::default() };
        self.fields(message, |number, field| {
            match (number, field) {
                (1, Field::Bytes(variable)) => self.arguments(variable, &mut operator.inputs)?,
                (2, Field::Bytes(variable)) => self.arguments(variable, &mut operator.outputs)?,
                (3, Field::Bytes(bytes)) => operator.kind = self.text(bytes)?,
                (4, Field::Bytes(attribute)) => self.attribute(attribute, &mut operator)?,
                _ => {}
            }
            Ok(())
        })?;
        if operator.kind.is_empty() || operator.kind.len() > MAX_TYPE_BYTES {
            return Err(self.fail(message, format!("an operator's type not of 1 to {MAX_TYPE_BYTES} bytes")));
        }
        Ok(operator)
    }

    /// The arguments of an `OpDesc.Var`, each with the parameter's name.
    fn arguments<'m>(&self, message: &'m [u8], to: &mut Vec<(&'m str, &'m str)>) -> Result<()> {
        let (mut parameter, first) = ("", to.len());
        self.fields(message, |number, field| {
            match (number, field) {
                (1, Field::Bytes(bytes)) => parameter = self.text(bytes)?,
                (2, Field::Bytes(bytes)) if to.len() <= MAX_ARGUMENTS => to.push(("", self.text(bytes)?)),
                _ => {}
            }
            Ok(())
        })?;
        if to.len() > MAX_ARGUMENTS {
            return Err(self.fail(message, format!("an operator with more than {MAX_ARGUMENTS} arguments")));
        }
        to.iter_mut().skip(first).for_each(|argument| argument.0 = parameter);
        Ok(())
    }

    /// Puts an `OpDesc.Attr` where `to` has a place for it.
    fn attribute(&self, message: &[u8], to: &mut Operator<'_>) -> Result<()> {
        let mut name: &[u8] = b"";
        let (mut integer, mut float, mut boolean, mut integers) = (0, 0.0, false, Vec::new());
        self.fields(message, |number, field| {
            match (number, field) {
                (1, Field::Bytes(bytes)) => name = self.text(bytes)?.as_bytes(),
                (3, Field::Number(value)) => integer = value as i64,
                (4, Field::Fixed32(bytes)) => float = f32::from_le_bytes(bytes),
                (6, Field::Number(value)) if integers.len() < MAX_INTEGERS => integers.push(value as i64),
                (6, Field::Bytes(mut packed)) => {
                    while !packed.is_empty() && integers.len() < MAX_INTEGERS {
                        let here = packed;
                        let value = varint(&mut packed).map_err(|NoMessage| self.fail(here, "no number"))?;
                        integers.push(value as i64);
                    }
                }
                (10, Field::Number(value)) => boolean = value != 0,
                _ => {}
            }
            Ok(())
        })?;
        match name {
            b"col" => to.column = integer,
            b"epsilon" => to.epsilon = float,
            b"approximate" => to.is_approximate = boolean,
            b"shape" => to.shape = integers,
            _ => {}
        }
        Ok(())
    }
}

/// What is read of an operator. Arguments come with the name of the operator's parameter: `X`, `Out`.
#[derive(Default)]
struct Operator<'a> {
    kind: &'a str,
    inputs: Vec<(&'a str, &'a str)>,
    outputs: Vec<(&'a str, &'a str)>,
    column: i64,
    epsilon: f32,
    is_approximate: bool,
    shape: Vec<i64>,
}

impl Operator<'_> {
    /// Heads, where the operator reshapes to `[rows, seq, heads, head_dim]` with the first two as they were.
    fn n_heads(&self) -> Option<usize> {
        match self.shape.as_slice() {
            [0, 0, n_heads, head_dim] if *head_dim != 0 => usize::try_from(*n_heads).ok().filter(|n| *n > 0),
            _ => None,
        }
    }
}

/// A value that several operators give.
#[derive(Clone, Copy, Default)]
enum Agreed<T> {
    /// None gave one.
    #[default]
    Nothing,
    /// All gave this one.
    On(T),
    /// They differ.
    Split,
}

impl<T: Copy + PartialEq> Agreed<T> {
    /// Adds the value of one operator.
    fn see(&mut self, value: T) {
        *self = match *self {
            Self::Nothing => Self::On(value),
            Self::On(seen) if seen == value => Self::On(value),
            _ => Self::Split,
        };
    }

    /// The value, where all have the same.
    fn value(self) -> Option<T> {
        if let Self::On(value) = self { Some(value) } else { None }
    }
}

/// What was seen of all operators.
#[derive(Default)]
struct Survey<'a> {
    persistables: BTreeSet<&'a str>,
    epsilon: Agreed<f32>,
    activation: Agreed<&'static str>,
    /// Reshaped tensors and the heads that they were given.
    reshaped: Vec<(&'a str, usize)>,
    transposed: HashSet<&'a str>,
    /// Inputs of the program and their columns.
    feeds: Vec<(i64, &'a str)>,
    uses: Vec<(String, String)>,
}

impl<'a> Survey<'a> {
    /// Adds an operator; `message` is its place.
    fn add(&mut self, walk: &Walk<'_>, message: &[u8], operator: &Operator<'a>) -> Result<()> {
        let outputs = || operator.outputs.iter().filter(|(parameter, _)| *parameter == "Out").map(|(_, name)| *name);
        match operator.kind {
            "layer_norm" if !operator.epsilon.is_finite() || operator.epsilon < 0.0 => {
                return Err(walk.fail(message, format!("a layer_norm with the epsilon {}", operator.epsilon)));
            }
            "layer_norm" => self.epsilon.see(operator.epsilon),
            "relu" => self.activation.see("relu"),
            "gelu" => self.activation.see(if operator.is_approximate { "gelu_tanh" } else { "gelu" }),
            "reshape2" => {
                self.reshaped.extend(operator.n_heads().and_then(|n_heads| Some((outputs().next()?, n_heads))));
            }
            "transpose2" => self.transposed.extend(operator.inputs.iter().map(|(_, name)| *name)),
            "feed" => self.feeds.extend(outputs().map(|name| (operator.column, name))),
            _ => {}
        }
        let parameters = operator.inputs.iter().filter(|(_, name)| self.persistables.contains(name));
        self.uses.extend(parameters.take(MAX_USES + 1).map(|(_, name)| (operator.kind.to_owned(), (*name).to_owned())));
        if self.uses.len() > MAX_USES {
            return Err(walk.fail(message, format!("operators take more than {MAX_USES} parameters")));
        }
        Ok(())
    }

    /// What all operators together say.
    fn facts(mut self) -> ProgramFacts {
        let mut n_heads = Agreed::Nothing;
        let into_heads = self.reshaped.iter().filter(|(name, _)| self.transposed.contains(name));
        into_heads.for_each(|(_, n)| n_heads.see(*n));
        self.feeds.sort_by_key(|(column, _)| *column);
        ProgramFacts {
            persistables: self.persistables.into_iter().map(str::to_owned).collect(),
            layer_norm_epsilon: self.epsilon.value(),
            activation: self.activation.value(),
            n_heads: n_heads.value(),
            feeds: self.feeds.into_iter().map(|(_, name)| name.to_owned()).collect(),
            uses: self.uses,
        }
    }
}

#[cfg(test)]
mod tests;
