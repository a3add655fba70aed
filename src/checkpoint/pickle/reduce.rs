//! What calls and states would have made: `REDUCE`, `BUILD` and `BINPERSID` of exactly the shapes that numpy, Paddle and
//! torch write -> arrays, storages and tensors.

use super::globals::Global;
use super::machine::Machine;
use super::value::{Array, ByteOrder, Dtype, Id, Storage, Tensor, Value};
use crate::error::Result;

impl Machine<'_, '_> {
    /// Replaces a callable and its arguments by what the call gives.
    pub(super) fn reduce(&mut self) -> Result<()> {
        let arguments = self.pop()?;
        let callable = self.pop()?;
        let (Value::Global(global), Value::Tuple(arguments)) = (self.arena.get(callable), self.arena.get(arguments))
        else {
            return Err(self.fail(format!("calls {}; refused", self.arena.get(callable).kind())));
        };
        let global = *global;
        let made = match (global, arguments.as_slice()) {
            (Global::Reconstruct, [class, shape, code]) => self.empty_array(*class, *shape, *code),
            (Global::Dtype, [name, align, copy]) => self.dtype(*name, *align, *copy),
            (Global::Encode, [text, encoding]) => self.encoded(*text, *encoding),
            (Global::OrderedDict, []) => Some(Value::Dict { items: Vec::new(), is_ordered: true }),
            (Global::OrderedDict, [pairs]) => self.ordered_dict(*pairs),
            (Global::Tuple, [items]) => match self.arena.get(*items) {
                Value::Tuple(items) => Some(Value::Tuple(items.clone())),
                _ => None,
            },
            (Global::RebuildTensor, [storage, offset, shape, stride, gradient, hooks]) => {
                self.tensor([*storage, *offset, *shape, *stride], *gradient, *hooks)
            }
            (Global::RebuildParameter, [tensor, gradient, hooks]) => self.parameter(*tensor, *gradient, *hooks),
            _ => None,
        };
        let made = made.ok_or_else(|| self.fail(format!("arguments that {global:?} is never given; refused")))?;
        match &made {
            Value::Tuple(items) => self.count_items(items.len())?,
            Value::Dict { items, .. } => self.count_items(items.len())?,
            _ => {}
        }
        self.make(made)
    }

    /// Gives the object below the top its state.
    pub(super) fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let object = self.top()?;
        let built = match self.arena.get(object) {
            // The attributes of an ordered dict are notes of torch about versions of modules.
            Value::Dict { is_ordered: true, .. } => return Ok(()),
            Value::Array(None) => self.array_state(state).map(|array| Value::Array(Some(array))),
            Value::Dtype(dtype) if dtype.order.is_none() => self.dtype_state(dtype.clone(), state).map(Value::Dtype),
            _ => None,
        };
        match (built, self.arena.get_mut(object)) {
            (Some(built), Some(value)) => {
                *value = built;
                Ok(())
            }
            _ => {
                let (state, object) = (self.arena.get(state).kind(), self.arena.get(object).kind());
                Err(self.fail(format!("{state} that cannot be the state of {object}; refused")))
            }
        }
    }

    /// Replaces the name of a storage by the storage.
    pub(super) fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        match self.storage(id) {
            Some(storage) => self.make(Value::Storage(storage)),
            None => Err(self.fail("an object outside the pickle that is no whole storage of torch; refused")),
        }
    }

    /// `("storage", class, key, device, n_elements)`, in old files followed by the view, which is `None` for a whole
    /// storage.
    fn storage(&self, id: Id) -> Option<Storage> {
        let Value::Tuple(parts) = self.arena.get(id) else { return None };
        let (tag, class, key, device, n_elements) = match parts.as_slice() {
            [tag, class, key, device, n_elements] => (*tag, *class, *key, *device, *n_elements),
            [tag, class, key, device, n_elements, view] if *self.arena.get(*view) == Value::None => {
                (*tag, *class, *key, *device, *n_elements)
            }
            _ => return None,
        };
        self.arena.text(device).filter(|_| self.arena.text(tag) == Some("storage"))?;
        match (self.arena.get(class), self.arena.get(key)) {
            (Value::Global(Global::Storage(element_type)), Value::Text(key) | Value::ByteText(key)) => {
                let n_elements = self.arena.count(n_elements)?;
                Some(Storage { element_type: *element_type, key: key.clone(), n_elements })
            }
            _ => None,
        }
    }

    /// `_reconstruct(ndarray, (0,), b"b")`.
    fn empty_array(&self, class: Id, shape: Id, code: Id) -> Option<Value> {
        let is_array = *self.arena.get(class) == Value::Global(Global::NdArray);
        let is_empty = self.arena.counts(shape)?.as_slice() == [0];
        let code = match self.arena.get(code) {
            Value::Bytes(code) | Value::ByteText(code) | Value::Latin1(code) => self.arena.slice(code),
            _ => return None,
        };
        (is_array && is_empty && code == b"b").then_some(Value::Array(None))
    }

    /// `(version, shape, dtype, is_fortran, data)`.
    fn array_state(&self, state: Id) -> Option<Array> {
        let Value::Tuple(parts) = self.arena.get(state) else { return None };
        let &[version, shape, dtype, is_fortran, data] = parts.as_slice() else { return None };
        let Value::Dtype(dtype) = self.arena.get(dtype) else { return None };
        // Every array has a copy of its type, so a type must be complete before an array takes it.
        dtype.order?;
        self.arena.count(version).filter(|version| *version == 1)?;
        self.shape(shape)?;
        let is_fortran = self.arena.flag(is_fortran)?;
        Some(Array { dtype: dtype.clone(), shape, is_fortran, data })
    }

    /// `dtype("f4", False, True)`.
    fn dtype(&self, name: Id, align: Id, copy: Id) -> Option<Value> {
        self.arena.flag(align).and(self.arena.flag(copy))?;
        match self.arena.get(name) {
            Value::Text(name) | Value::ByteText(name) => {
                Some(Value::Dtype(Dtype { name: name.clone(), order: None, is_structured: false }))
            }
            _ => None,
        }
    }

    /// `(version, order, subarray, names, fields, size, alignment, flags)`; version 4 has notes at the end.
    fn dtype_state(&self, dtype: Dtype, state: Id) -> Option<Dtype> {
        let Value::Tuple(parts) = self.arena.get(state) else { return None };
        let (version, order, structure) = match parts.as_slice() {
            &[version, order, a, b, c, _, _, _] | &[version, order, a, b, c, _, _, _, _] => (version, order, [a, b, c]),
            _ => return None,
        };
        self.arena.count(version).filter(|version| matches!(version, 3 | 4))?;
        let order = match self.arena.text(order)? {
            // No order, or that of the machine that wrote: no big-endian one ever ran these frameworks.
            "<" | "|" | "=" => ByteOrder::Little,
            ">" => ByteOrder::Big,
            _ => return None,
        };
        let is_structured = structure.iter().any(|part| *self.arena.get(*part) != Value::None);
        Some(Dtype { order: Some(order), is_structured, ..dtype })
    }

    /// `_codecs.encode(text, "latin1")`. Whether the text fits is seen where the bytes are wanted.
    fn encoded(&self, text: Id, encoding: Id) -> Option<Value> {
        match self.arena.get(text) {
            Value::Text(range) if self.arena.text(encoding)? == "latin1" => Some(Value::Latin1(range.clone())),
            _ => None,
        }
    }

    /// `OrderedDict([[key, value], ...])`, as Python 2 writes it.
    fn ordered_dict(&self, pairs: Id) -> Option<Value> {
        let Value::List(pairs) = self.arena.get(pairs) else { return None };
        let pair = |id: &Id| match self.arena.sequence(*id)? {
            &[key, value] => Some((key, value)),
            _ => None,
        };
        Some(Value::Dict { items: pairs.iter().map(pair).collect::<Option<_>>()?, is_ordered: true })
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, OrderedDict())`.
    fn tensor(&self, view: [Id; 4], gradient: Id, hooks: Id) -> Option<Value> {
        let [storage, offset, shape, stride] = view;
        let Value::Storage(storage) = self.arena.get(storage) else { return None };
        if self.shape(shape)? != self.shape(stride)? || !self.is_plain(gradient, hooks) {
            return None;
        }
        Some(Value::Tensor(Tensor { storage: storage.clone(), offset: self.arena.count(offset)?, shape, stride }))
    }

    /// `_rebuild_parameter(tensor, requires_grad, OrderedDict())`: the tensor.
    fn parameter(&self, tensor: Id, gradient: Id, hooks: Id) -> Option<Value> {
        match self.arena.get(tensor) {
            tensor @ Value::Tensor(_) if self.is_plain(gradient, hooks) => Some(tensor.clone()),
            _ => None,
        }
    }

    /// Whether a tensor has no hooks, which would be functions.
    fn is_plain(&self, gradient: Id, hooks: Id) -> bool {
        self.arena.flag(gradient).is_some() && self.arena.dict(hooks).is_some_and(<[_]>::is_empty)
    }

    /// The number of dimensions of a tuple of them. A tuple never changes, so it need not be looked at again.
    fn shape(&self, id: Id) -> Option<usize> {
        match self.arena.get(id) {
            Value::Tuple(_) => Some(self.arena.counts(id)?.len()),
            _ => None,
        }
    }
}
