//! A file or standard input -> numbered texts, a chunk at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;

use crate::Format;
use crate::stream::Failure;

/// A line longer than this is refused before it fills the memory.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// One line: its number, from 1, and its text or what is wrong with it.
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) content: Result<Record, String>,
}

/// What a line asks about.
#[derive(Deserialize)]
pub(crate) struct Record {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) pair: Option<String>,
}

/// The lines of an input, with a progress bar where a person watches.
pub(crate) struct Lines {
    reader: BufReader<Box<dyn Read>>,
    /// Whether lines may come one by one, from a person or a program that waits for each answer.
    is_stream: bool,
    format: Format,
    number: u64,
    bar: ProgressBar,
}

impl Lines {
    pub(crate) fn open(file: Option<&Path>, format: Format) -> Result<Self, Failure> {
        let file = file.filter(|path| *path != Path::new("-"));
        let (reader, size): (Box<dyn Read>, u64) = match file {
            None => (Box::new(std::io::stdin().lock()), 0),
            Some(path) => {
                let fail = |e: std::io::Error| Failure::Input(format!("{}: {e}", path.display()));
                let file = File::open(path).map_err(fail)?;
                let metadata = file.metadata().map_err(fail)?;
                if metadata.is_dir() {
                    return Err(Failure::Input(format!("{}: is a directory", path.display())));
                }
                (Box::new(file), metadata.len())
            }
        };
        let reader = BufReader::with_capacity(1 << 16, reader);
        Ok(Self { reader, is_stream: file.is_none(), format, number: 0, bar: bar(size) })
    }

    /// The next lines, at most `n_lines` and not many bytes; empty at the end.
    pub(crate) fn chunk(&mut self, n_lines: usize) -> Result<Vec<Line>, Failure> {
        const MAX_CHUNK_BYTES: usize = 4 << 20;
        let (mut lines, mut n_bytes) = (Vec::new(), 0);
        while lines.len() < n_lines && n_bytes < MAX_CHUNK_BYTES {
            match self.next_line()? {
                Some(line) => {
                    n_bytes +=
                        line.content.as_ref().map_or(0, |r| r.text.len() + r.pair.as_ref().map_or(0, String::len));
                    lines.push(line);
                    // What has not come yet is not waited for.
                    if self.is_stream && self.reader.buffer().is_empty() {
                        break;
                    }
                }
                None => break,
            }
        }
        Ok(lines)
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn next_line(&mut self) -> Result<Option<Line>, Failure> {
        let mut bytes = Vec::new();
        let fail = |e: std::io::Error| Failure::Input(e.to_string());
        let n = (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).map_err(fail)?;
        if n == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bar.inc(n as u64);
        if n as u64 == MAX_LINE_BYTES && bytes.last() != Some(&b'\n') {
            self.skip_line()?;
            return Ok(Some(self.bad(format!("longer than {MAX_LINE_BYTES} bytes"))));
        }
        if self.number == 1 && bytes.starts_with(b"\xEF\xBB\xBF") {
            bytes.drain(..3);
        }
        let end =
            bytes.strip_suffix(b"\n").map(|b| b.strip_suffix(b"\r").unwrap_or(b)).map_or(bytes.len(), <[u8]>::len);
        bytes.truncate(end);
        let content = match String::from_utf8(bytes) {
            Ok(text) => self.parse(text),
            Err(e) => Err(format!("not UTF-8: invalid byte at offset {}", e.utf8_error().valid_up_to())),
        };
        Ok(Some(Line { number: self.number, content }))
    }

    fn skip_line(&mut self) -> Result<(), Failure> {
        loop {
            let buffer = self.reader.fill_buf().map_err(|e| Failure::Input(e.to_string()))?;
            let (n, done) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.reader.consume(n);
            if done {
                return Ok(());
            }
        }
    }

    fn bad(&self, reason: String) -> Line {
        Line { number: self.number, content: Err(reason) }
    }

    fn parse(&mut self, text: String) -> Result<Record, String> {
        let is_object = text.trim_start().starts_with('{');
        if self.format == Format::Auto {
            let is_json = is_object && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            self.format = if is_json { Format::Jsonl } else { Format::Text };
        }
        if self.format == Format::Text {
            return Ok(Record { text, pair: None });
        }
        if !is_object {
            return Err("not a JSON object with a text".to_owned());
        }
        serde_json::from_str(&text).map_err(|e| format!("not a JSON object with a text: {e}"))
    }
}

/// Hidden unless standard error is a terminal and the input is long enough to wait for.
fn bar(size: u64) -> ProgressBar {
    const LONG_BYTES: u64 = 256 << 10;
    if size < LONG_BYTES {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
