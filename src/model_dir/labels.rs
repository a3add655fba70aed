//! A label map -> names by id.
//!
//! Forms: JSON `{"name": id}` (`label_map.json` of paddle-ernie's data), `{"id": "name"}`, `["name", ...]`; or lines
//! `name` or `name<TAB>id` (`vocab_label_map.txt` of ERNIE-Kit).

use std::path::Path;

use serde_json::Value;

use crate::bounded_file;
use crate::error::{Error, Result};

/// The file that is looked for beside a config that names no labels.
pub(super) const FILE_NAME: &str = "label_map.json";
/// The largest file read.
const MAX_BYTES: u64 = 16 << 20;

/// Reads the label map at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<String>> {
    parse(path, &bounded_file::read(path, MAX_BYTES)?)
}

/// The label map that `bytes` hold; `path` is for messages.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::model(path, format!("not UTF-8: invalid byte at offset {}", e.valid_up_to())))?;
    let pairs = match text.trim_start().starts_with(['{', '[']) {
        true => {
            let value = serde_json::from_str(text).map_err(|e| Error::model_from(path, "not valid JSON", e))?;
            of_json(&value).map_err(|reason| Error::model(path, reason))?
        }
        false => of_lines(text).map_err(|reason| Error::model(path, reason))?,
    };
    in_order(pairs).map_err(|reason| Error::model(path, reason))
}

fn of_json(value: &Value) -> std::result::Result<Vec<(String, usize)>, String> {
    match value {
        Value::Array(names) => {
            let name = |(id, name): (usize, &Value)| match name.as_str() {
                Some(name) => Ok((name.to_owned(), id)),
                None => Err(format!("entry {id} is {name}, not a name")),
            };
            names.iter().enumerate().map(name).collect()
        }
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| match (value, key.parse::<usize>()) {
                (Value::Number(id), _) => {
                    id.as_u64().map(|id| (key.clone(), id as usize)).ok_or_else(|| bad_id(key, value))
                }
                (Value::String(name), Ok(id)) => Ok((name.clone(), id)),
                _ => Err(bad_id(key, value)),
            };
            map.iter().map(pair).collect()
        }
        _ => Err("neither a list nor an object of labels".into()),
    }
}

fn bad_id(key: &str, value: &Value) -> String {
    format!("\"{}\": {value} is not a label with its id", key.escape_debug())
}

fn of_lines(text: &str) -> std::result::Result<Vec<(String, usize)>, String> {
    let pair = |(id, (number, line)): (usize, (usize, &str))| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match line.split_once('\t') {
            None => Ok((line.to_owned(), id)),
            Some((name, id)) => match id.trim().parse() {
                Ok(id) => Ok((name.to_owned(), id)),
                Err(_) => Err(format!("line {}: \"{}\" is not an id", number + 1, id.escape_debug())),
            },
        }
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.enumerate().map(pair).collect()
}

fn in_order(pairs: Vec<(String, usize)>) -> std::result::Result<Vec<String>, String> {
    let n_labels = pairs.len();
    let mut names: Vec<Option<String>> = vec![None; n_labels];
    for (name, id) in pairs {
        match names.get_mut(id) {
            Some(slot @ None) => *slot = Some(name),
            Some(Some(other)) => return Err(format!("labels \"{other}\" and \"{name}\" both have id {id}")),
            None => return Err(format!("label \"{name}\" has id {id}, but there are {n_labels} labels")),
        }
    }
    let names: Vec<String> = names.into_iter().flatten().collect();
    if names.is_empty() { Err("no labels".into()) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn all_forms_give_names_by_id() {
        for text in [r#"{"b": 1, "a": 0}"#, r#"{"1": "b", "0": "a"}"#, r#"["a", "b"]"#, "a\nb\n", "b\t1\r\na\t0\r\n"] {
            assert_eq!(read_text(text).unwrap(), ["a", "b"], "{text}");
        }
    }

    #[test]
    fn what_is_no_map_is_refused_by_its_place() {
        for (text, message) in [
            (r#"{"a": 0, "b": 0}"#, "both have id 0"),
            (r#"{"a": 5}"#, "has id 5"),
            (r#"{"a": -1}"#, "not a label with its id"),
            (r#"{"a": []}"#, "not a label with its id"),
            ("[1]", "entry 0 is 1"),
            ("\na\tx", "line 2"),
            ("{", "not valid JSON"),
            ("", "no labels"),
        ] {
            let error = read_text(text).unwrap_err().report();
            assert!(error.contains(message) && error.contains("labels"), "{text}: {error}");
        }
    }
}
