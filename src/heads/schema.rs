//! What is to be extracted: a schema in JSON -> a tree of names.
//!
//! The form is that of PaddleNLP's `Taskflow("information_extraction", schema=...)`: a name, a list of names and objects,
//! or an object whose keys are names and whose values are what belongs to them, each in one of these forms again, to any
//! depth:
//! `["人物", {"竞赛名称": ["主办方", "时间"]}]`.

use serde_json::Value;

use crate::error::{Error, Result};

/// The deepest nesting, and the most names, that a schema may have.
const MAX_DEPTH: usize = 16;
const MAX_NODES: usize = 4096;

/// A name, and what belongs to its findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaNode {
    /// What is looked for.
    pub name: String,
    /// The node it belongs to; `None` for one of the text itself.
    pub parent: Option<usize>,
    /// How many nodes are above it.
    pub depth: usize,
}

/// A tree of names, in the order of the JSON: a node comes before those that belong to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// All nodes.
    pub nodes: Vec<SchemaNode>,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`]: not JSON, or JSON of another form, nests too deep or names too much.
    pub fn parse(json: &str) -> Result<Self> {
        let value: Value =
            serde_json::from_str(json).map_err(|e| Error::argument(format!("the schema is not JSON: {e}")))?;
        let mut schema = Self::default();
        schema.add(&value, None, 0, "schema")?;
        match schema.nodes.is_empty() {
            true => Err(Error::argument("the schema names nothing")),
            false => Ok(schema),
        }
    }

    fn add(&mut self, value: &Value, parent: Option<usize>, depth: usize, path: &str) -> Result<()> {
        if depth >= MAX_DEPTH {
            return Err(Error::argument(format!("{path} nests deeper than {MAX_DEPTH}")));
        }
        match value {
            Value::String(name) => self.push(name, parent, depth, path).map(|_| ()),
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    if value.is_array() {
                        return Err(Error::argument(format!(
                            "{path} is a list in a list, names and objects may stand there"
                        )));
                    }
                    self.add(value, parent, depth, &path)?;
                }
                Ok(())
            }
            Value::Object(map) => {
                for (name, value) in map {
                    let path = format!("{path}[\"{}\"]", name.escape_debug());
                    let node = self.push(name, parent, depth, &path)?;
                    self.add(value, Some(node), depth + 1, &path)?;
                }
                Ok(())
            }
            other => Err(Error::argument(format!("{path} is {other}, a name, a list or an object may stand there"))),
        }
    }

    fn push(&mut self, name: &str, parent: Option<usize>, depth: usize, path: &str) -> Result<usize> {
        if name.trim().is_empty() {
            return Err(Error::argument(format!("{path} is an empty name")));
        }
        if self.nodes.len() >= MAX_NODES {
            return Err(Error::argument(format!("the schema has more than {MAX_NODES} names")));
        }
        if let Some(node) = self.nodes.iter().position(|node| node.parent == parent && node.name == name) {
            return Ok(node);
        }
        self.nodes.push(SchemaNode { name: name.to_owned(), parent, depth });
        Ok(self.nodes.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lists_and_objects_make_a_tree_in_order() {
        let schema = Schema::parse(r#"["a", {"b": ["c", {"d": "e"}], "f": []}]"#).unwrap();
        let nodes: Vec<_> = schema.nodes.iter().map(|n| (n.name.as_str(), n.parent, n.depth)).collect();
        let wanted =
            [("a", None, 0), ("b", None, 0), ("c", Some(1), 1), ("d", Some(1), 1), ("e", Some(3), 2), ("f", None, 0)];
        assert_eq!(nodes, wanted);
        let nested = |json| Schema::parse(json).unwrap();
        assert_eq!(nested(r#"{"a": {"b": "c"}}"#), nested(r#"{"a": [{"b": ["c"]}]}"#));
        assert_eq!(Schema::parse("\"a\"").unwrap().nodes.len(), 1);
        assert_eq!(Schema::parse(r#"["a", "a"]"#).unwrap().nodes.len(), 1);
    }

    #[test]
    fn other_forms_are_refused_by_their_place() {
        let deep = format!("{}\"x\"{}", "{\"a\":[".repeat(20), "]}".repeat(20));
        for (json, message) in [
            ("{", "not JSON"),
            ("[1]", "schema[0] is 1"),
            (r#"[["a"]]"#, "schema[0] is a list in a list"),
            ("[]", "names nothing"),
            (r#"[" "]"#, "schema[0] is an empty name"),
            (&deep, "nests deeper than 16"),
        ] {
            let error = Schema::parse(json).unwrap_err().to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
        assert!(Schema::parse(&"[".repeat(100_000)).is_err());
        let many: Vec<String> = (0..5000).map(|i| format!("\"n{i}\"")).collect();
        assert!(Schema::parse(&format!("[{}]", many.join(","))).unwrap_err().to_string().contains("4096"));
    }
}
