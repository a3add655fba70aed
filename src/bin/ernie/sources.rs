//! Names of files and patterns -> the inputs, in order.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, glob_with};

use crate::failure::Failure;

/// Something to be read.
pub(crate) struct Source {
    /// What messages call it.
    pub(crate) name: String,
    /// The file; without one it is standard input.
    pub(crate) path: Option<PathBuf>,
    /// Its size, where that is known; what has no size comes as its writer gives it.
    pub(crate) n_bytes: Option<u64>,
}

/// The inputs that `files` name, in that order, the matches of a pattern sorted; standard input where there are none.
pub(crate) fn sources(files: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let pattern = file.to_str().filter(|text| text.contains(['*', '?', '[']) && !file.exists());
        match pattern {
            Some(pattern) => all.extend(matches(pattern)?),
            None if file == Path::new("-") => all.push(standard_input()),
            None => all.push(source(file.clone())?),
        }
    }
    if all.iter().filter(|source| source.path.is_none()).count() > 1 {
        return Err(Failure::Refused("standard input (-) can be read once".into()));
    }
    if files.is_empty() {
        all.push(standard_input());
    }
    Ok(all)
}

fn standard_input() -> Source {
    Source { name: "standard input".into(), path: None, n_bytes: None }
}

fn source(path: PathBuf) -> Result<Source, Failure> {
    let metadata = path.metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let path = path.display();
            Failure::Refused(format!("{path}: {error}; arguments name files, a text itself goes to standard input"))
        }
        _ => Failure::File(path.clone(), error),
    })?;
    if metadata.is_dir() {
        return Err(Failure::Refused(format!("{}: is a directory", path.display())));
    }
    let n_bytes = metadata.is_file().then_some(metadata.len());
    Ok(Source { name: path.display().to_string(), path: Some(path), n_bytes })
}

/// The files that a pattern matches, sorted; hidden ones by a dot in the pattern only, as in a shell.
fn matches(pattern: &str) -> Result<Vec<Source>, Failure> {
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let found = glob_with(pattern, options).map_err(|e| Failure::Refused(format!("pattern {pattern}: {e}")))?;
    let mut all = Vec::new();
    for path in found {
        let path = path.map_err(|e| Failure::File(e.path().to_owned(), e.into()))?;
        if !path.is_dir() {
            all.push(source(path)?);
        }
    }
    match all.is_empty() {
        true => Err(Failure::Refused(format!("pattern {pattern} matches no file"))),
        false => Ok(all),
    }
}
