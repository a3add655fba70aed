//! What must be known of an ONNX file before a runtime sees it.
//!
//! In: the path of a `model.onnx`. Out: [`GraphFacts`], after every external data reference was checked to lie inside
//! the model's own directory.
//!
//! The file is walked in place, in the wire format of protocol buffers: nothing is decoded or copied, so that a
//! hostile file costs no more memory than its own. The field numbers are those of `onnx/onnx.proto`.

use std::path::{Component, Path};

use crate::error::{Error, Result};
use crate::mapped_file::MappedFile;
use crate::wire::{Field, NoMessage, next_field};

/// Graphs inside attributes of graphs, at most.
const MAX_DEPTH: usize = 64;

/// What was found in an ONNX file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GraphFacts {
    /// Whether activations are quantised while running, with one scale for everything in a run: then what a text
    /// gives depends on its neighbours.
    pub(crate) quantizes_activations_per_run: bool,
    /// Whether activations are turned to half precision: then their rounding depends on the shape of a run.
    pub(crate) casts_to_half: bool,
}

impl GraphFacts {
    /// Reads the graph at `path`.
    ///
    /// # Errors
    /// - [`Error::NotFound`], [`Error::Io`]: the file is not there or not readable.
    /// - [`Error::InvalidModel`]: empty, truncated or not ONNX; weights outside the model's directory, missing, or
    ///   claimed to be longer than their file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::parse(path, MappedFile::open(path)?.bytes())
    }

    /// The facts of a graph of these bytes; external data are looked for beside `path`.
    ///
    /// # Errors
    /// [`Error::InvalidModel`], as [`Self::read`].
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::model(path, "the file is empty"));
        }
        let mut visit = Visit { path, start: bytes.as_ptr(), n_graphs: 0, facts: Self::default() };
        visit.model(bytes)?;
        if visit.n_graphs == 0 {
            return Err(Error::model(path, "not an ONNX graph: the file holds no graph"));
        }
        Ok(visit.facts)
    }
}

/// One walk over all nodes and tensors of a file, nested graphs included.
struct Visit<'a> {
    path: &'a Path,
    start: *const u8,
    n_graphs: usize,
    facts: GraphFacts,
}

impl Visit<'_> {
    /// Hands every field of `message` to `each`.
    fn fields<'m>(
        &mut self,
        message: &'m [u8],
        mut each: impl FnMut(&mut Self, u64, Field<'m>) -> Result<()>,
    ) -> Result<()> {
        let mut rest = message;
        loop {
            let at = rest.as_ptr().addr() - self.start.addr();
            match next_field(&mut rest) {
                Ok(Some((number, field))) => each(self, number, field)?,
                Ok(None) => return Ok(()),
                Err(NoMessage) => {
                    return Err(Error::model(
                        self.path,
                        format!("not an ONNX graph, or truncated: no field at byte {at}"),
                    ));
                }
            }
        }
    }

    fn model(&mut self, message: &[u8]) -> Result<()> {
        self.fields(message, |visit, number, field| match (number, field) {
            (7, Field::Bytes(graph)) => visit.graph(graph, 0),
            (25, Field::Bytes(function)) => visit.function(function),
            _ => Ok(()),
        })
    }

    fn function(&mut self, message: &[u8]) -> Result<()> {
        self.fields(message, |visit, number, field| match (number, field) {
            (7, Field::Bytes(node)) => visit.node(node, 0),
            (11, Field::Bytes(attribute)) => visit.attribute(attribute, 0).map(|_| ()),
            _ => Ok(()),
        })
    }

    fn graph(&mut self, message: &[u8], depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::model(self.path, format!("graphs nested deeper than {MAX_DEPTH}")));
        }
        self.n_graphs += 1;
        self.fields(message, |visit, number, field| match (number, field) {
            (1, Field::Bytes(node)) => visit.node(node, depth),
            (5, Field::Bytes(tensor)) => visit.tensor(tensor),
            (15, Field::Bytes(tensor)) => visit.sparse(tensor),
            _ => Ok(()),
        })
    }

    fn node(&mut self, message: &[u8], depth: usize) -> Result<()> {
        let (mut operator, mut to): (&[u8], Option<u64>) = (b"", None);
        self.fields(message, |visit, number, field| {
            match (number, field) {
                (4, Field::Bytes(name)) => operator = name,
                (5, Field::Bytes(attribute)) => to = visit.attribute(attribute, depth)?.or(to),
                _ => {}
            }
            Ok(())
        })?;
        // These operators take one scale from the smallest and largest value of the whole activation tensor.
        self.facts.quantizes_activations_per_run |=
            matches!(operator, b"DynamicQuantizeLinear" | b"DynamicQuantizeMatMul" | b"QAttention");
        const HALF: [Option<u64>; 2] = [Some(10), Some(16)];
        self.facts.casts_to_half |= operator == b"Cast" && HALF.contains(&to);
        Ok(())
    }

    /// Looks into an attribute; gives its number where its name is `to`.
    fn attribute(&mut self, message: &[u8], depth: usize) -> Result<Option<u64>> {
        let (mut name, mut value): (&[u8], u64) = (b"", 0);
        self.fields(message, |visit, number, field| match (number, field) {
            (1, Field::Bytes(bytes)) => {
                name = bytes;
                Ok(())
            }
            (3, Field::Number(i)) => {
                value = i;
                Ok(())
            }
            (5 | 10, Field::Bytes(tensor)) => visit.tensor(tensor),
            (6 | 11, Field::Bytes(graph)) => visit.graph(graph, depth + 1),
            (22 | 23, Field::Bytes(tensor)) => visit.sparse(tensor),
            _ => Ok(()),
        })?;
        Ok((name == b"to").then_some(value))
    }

    fn sparse(&mut self, message: &[u8]) -> Result<()> {
        self.fields(message, |visit, number, field| match (number, field) {
            (1 | 2, Field::Bytes(tensor)) => visit.tensor(tensor),
            _ => Ok(()),
        })
    }

    fn tensor(&mut self, message: &[u8]) -> Result<()> {
        let mut external = External::default();
        let mut is_external = false;
        self.fields(message, |visit, number, field| {
            match (number, field) {
                (8, Field::Bytes(name)) => external.tensor = String::from_utf8_lossy(name).escape_debug().to_string(),
                (13, Field::Bytes(entry)) => {
                    is_external = true;
                    visit.entry(entry, &mut external)?;
                }
                (14, Field::Number(location)) => is_external |= location == 1,
                _ => {}
            }
            Ok(())
        })?;
        if is_external { external.check(self.path) } else { Ok(()) }
    }

    /// One `key: value` of external data. A key that comes twice is refused: readers differ in which one counts.
    fn entry(&mut self, message: &[u8], external: &mut External) -> Result<()> {
        let (mut key, mut value): (&[u8], &[u8]) = (b"", b"");
        self.fields(message, |_, number, field| {
            match (number, field) {
                (1, Field::Bytes(bytes)) => key = bytes,
                (2, Field::Bytes(bytes)) => value = bytes,
                _ => {}
            }
            Ok(())
        })?;
        let slot = match key {
            b"location" => &mut external.location,
            b"offset" => &mut external.offset,
            b"length" => &mut external.length,
            _ => return Ok(()),
        };
        let text = String::from_utf8(value.to_vec()).ok().filter(|_| slot.is_none());
        let text = text.ok_or_else(|| Error::model(self.path, "external data with a key twice or not UTF-8"))?;
        *slot = Some(text);
        Ok(())
    }
}

/// Where a tensor says that its data lie.
#[derive(Default)]
struct External {
    tensor: String,
    location: Option<String>,
    offset: Option<String>,
    length: Option<String>,
}

impl External {
    /// Refuses weights outside the directory of the graph, through `..`, an absolute path or a link, and weights that
    /// their file does not hold.
    fn check(&self, path: &Path) -> Result<()> {
        let fail = |reason: String| Error::model(path, format!("tensor {}: external data {reason}", self.tensor));
        let location = self.location.as_deref().ok_or_else(|| fail("without a location".into()))?;
        let relative = Path::new(location);
        let shown = location.escape_debug().to_string();
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !relative.components().all(inside) {
            return Err(fail(format!("\"{shown}\" is not inside the model's directory")));
        }
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let missing = |e| fail(format!("\"{shown}\": {e}"));
        let real_parent = parent.canonicalize().map_err(missing)?;
        let real_file = parent.join(relative).canonicalize().map_err(missing)?;
        if !real_file.starts_with(&real_parent) {
            return Err(fail(format!("\"{shown}\" leads outside the model's directory, to {}", real_file.display())));
        }
        let metadata = std::fs::metadata(&real_file).map_err(missing)?;
        let number = |text: &Option<String>| match text.as_deref() {
            None => Ok(0),
            Some(text) => text.parse::<u64>().map_err(|_| fail(format!("with the number \"{}\"", text.escape_debug()))),
        };
        let end = number(&self.offset)?.checked_add(number(&self.length)?);
        if !metadata.is_file() || end.is_none_or(|end| end > metadata.len()) {
            let size = metadata.len();
            return Err(fail(format!("\"{shown}\" holds {size} bytes, fewer than the tensor takes")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message field of `bytes`, shorter than 128.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    fn read(model: &[u8]) -> Result<GraphFacts> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("model.onnx"), model).unwrap();
        std::fs::write(dir.path().join("w.bin"), [0; 8]).unwrap();
        GraphFacts::read(&dir.path().join("model.onnx"))
    }

    fn entry(key: &str, value: &str) -> Vec<u8> {
        field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat())
    }

    fn with_tensor(parts: &[Vec<u8>]) -> Vec<u8> {
        field(7, &field(5, &parts.concat()))
    }

    #[test]
    fn external_data_may_only_lie_inside_and_be_named_once() {
        assert!(read(&with_tensor(&[entry("location", "w.bin"), entry("length", "8")])).is_ok());
        for parts in [
            vec![entry("location", "../w.bin")],
            vec![entry("location", "/etc/hostname")],
            vec![entry("location", "w.bin"), entry("location", "../w.bin")],
            vec![entry("location", "w.bin"), entry("length", "9")],
            vec![entry("location", "w.bin"), entry("offset", "18446744073709551615"), entry("length", "2")],
            vec![entry("location", "none.bin")],
            vec![entry("location", "")],
            vec![entry("length", "1")],
        ] {
            assert!(matches!(read(&with_tensor(&parts)), Err(Error::InvalidModel { .. })), "{parts:?}");
        }
        let in_function = [field(7, b""), field(25, &field(11, &field(5, &entry("location", "../w.bin"))))].concat();
        assert!(read(&in_function).is_err());
    }

    #[test]
    fn operators_that_tie_texts_together_are_found_in_nested_graphs() {
        let node = field(1, &field(4, b"DynamicQuantizeLinear"));
        let nested = field(7, &field(1, &field(5, &field(6, &node))));
        assert!(read(&nested).unwrap().quantizes_activations_per_run);
        let cast = [field(5, &[field(1, b"to"), vec![3 << 3, 10]].concat()), field(4, b"Cast")].concat();
        assert!(read(&field(7, &field(1, &cast))).unwrap().casts_to_half);
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_place() {
        for bytes in [&b"<html>"[..], b"\x3a\x05ab", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b"] {
            let message = read(bytes).unwrap_err().report();
            assert!(message.contains("not an ONNX graph"), "{message}");
        }
        assert!(read(b"\x08\x07").unwrap_err().report().contains("no graph"));
    }
}
