//! Inputs -> numbered lines, a chunk at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::args::Format;
use crate::failure::Failure;
use crate::sources::Source;

/// A line longer than this is refused before it fills the memory.
const MAX_LINE_BYTES: u64 = 64 << 20;
/// So many blank lines at the beginning are text.
const MAX_HELD: usize = 1000;
/// A chunk ends at the first line that brings it to so many bytes.
const MAX_CHUNK_BYTES: u64 = 4 << 20;

/// One line.
pub(crate) struct Line {
    /// Which of the inputs it is of.
    pub(crate) source: usize,
    /// Its number there, from 1.
    pub(crate) number: u64,
    /// The bytes it takes in the input.
    pub(crate) n_bytes: u64,
    pub(crate) is_json: bool,
    /// What it says, or why it is no text.
    pub(crate) content: Result<String, String>,
}

/// The lines of all inputs, one input after the other.
pub(crate) struct Lines<'a> {
    sources: &'a [Source],
    format: Format,
    /// How many inputs were begun.
    n_begun: usize,
    current: Option<Current>,
}

/// The input that is being read.
struct Current {
    reader: BufReader<Box<dyn Read>>,
    /// Whether lines may come one by one, from a person or a program that waits for each answer.
    is_stream: bool,
    /// How its lines are read; known from its name or from the first line on that is not blank.
    is_json: Option<bool>,
    /// Lines that were read before that was known.
    held: VecDeque<Held>,
    number: u64,
}

/// A line as it was read.
struct Held {
    number: u64,
    n_bytes: u64,
    content: Result<String, String>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(sources: &'a [Source], format: Format) -> Self {
        Self { sources, format, n_begun: 0, current: None }
    }

    /// The next lines, at most `n_lines` and not many bytes; empty at the end. Of files the chunks are the same each time.
    pub(crate) fn chunk(&mut self, n_lines: usize) -> Result<Vec<Line>, Failure> {
        let (mut lines, mut n_bytes) = (Vec::new(), 0);
        while lines.len() < n_lines && n_bytes < MAX_CHUNK_BYTES {
            let Some(line) = self.next_line()? else { break };
            n_bytes += line.n_bytes;
            lines.push(line);
            // What has not come yet is not waited for.
            if self.current.as_ref().is_some_and(|input| input.is_stream && input.reader.buffer().is_empty()) {
                break;
            }
        }
        Ok(lines)
    }

    fn next_line(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            if let Some(current) = &mut self.current {
                let source = self.n_begun - 1;
                match current.next_line(source) {
                    Ok(Some(line)) => return Ok(Some(line)),
                    Ok(None) => self.current = None,
                    Err(error) => return Err(Failure::File(Path::new(&self.sources[source].name).to_owned(), error)),
                }
            }
            let Some(source) = self.sources.get(self.n_begun) else { return Ok(None) };
            self.current = Some(Current::open(source, self.format)?);
            self.n_begun += 1;
        }
    }
}

impl Current {
    fn open(source: &Source, format: Format) -> Result<Self, Failure> {
        let reader: Box<dyn Read> = match &source.path {
            None => Box::new(std::io::stdin().lock()),
            Some(path) => Box::new(File::open(path).map_err(Failure::of(path))?),
        };
        let reader = BufReader::with_capacity(1 << 16, reader);
        let extension = source.path.as_ref().and_then(|path| path.extension()).unwrap_or_default();
        let is_json = match format {
            Format::Text => Some(false),
            Format::Jsonl => Some(true),
            Format::Auto => {
                ["jsonl", "ndjson"].iter().any(|known| extension.eq_ignore_ascii_case(known)).then_some(true)
            }
        };
        Ok(Self { reader, is_stream: source.n_bytes.is_none(), is_json, held: VecDeque::new(), number: 0 })
    }

    fn next_line(&mut self, source: usize) -> std::io::Result<Option<Line>> {
        loop {
            if let (Some(is_json), Some(Held { number, n_bytes, content })) = (self.is_json, self.held.front()) {
                let line = Line { source, number: *number, n_bytes: *n_bytes, is_json, content: content.clone() };
                self.held.pop_front();
                return Ok(Some(line));
            }
            match self.read()? {
                Some(line) => {
                    let text = line.content.as_deref().unwrap_or_default().trim_start();
                    if self.is_json.is_none() && (!text.is_empty() || self.held.len() >= MAX_HELD) {
                        self.is_json = Some(text.starts_with('{'));
                    }
                    self.held.push_back(line);
                }
                None if self.held.is_empty() => return Ok(None),
                None => self.is_json = Some(false),
            }
        }
    }

    fn read(&mut self) -> std::io::Result<Option<Held>> {
        let mut bytes = Vec::new();
        let mut n_bytes = (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)? as u64;
        if n_bytes == 0 {
            return Ok(None);
        }
        self.number += 1;
        let content = if n_bytes == MAX_LINE_BYTES && bytes.last() != Some(&b'\n') {
            n_bytes += self.skip_line()?;
            Err(format!("longer than {MAX_LINE_BYTES} bytes"))
        } else {
            text(bytes, self.number == 1)
        };
        Ok(Some(Held { number: self.number, n_bytes, content }))
    }

    fn skip_line(&mut self) -> std::io::Result<u64> {
        let mut n_skipped = 0;
        loop {
            let buffer = self.reader.fill_buf()?;
            let (n, done) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.reader.consume(n);
            n_skipped += n as u64;
            if done {
                return Ok(n_skipped);
            }
        }
    }
}

/// The text of a line without its end, and of an input's first without a byte order mark.
fn text(mut bytes: Vec<u8>, is_first: bool) -> Result<String, String> {
    if is_first && bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    let end = bytes.strip_suffix(b"\n").map(|b| b.strip_suffix(b"\r").unwrap_or(b)).map_or(bytes.len(), <[u8]>::len);
    bytes.truncate(end);
    String::from_utf8(bytes).map_err(|e| format!("not UTF-8: invalid byte at offset {}", e.utf8_error().valid_up_to()))
}
