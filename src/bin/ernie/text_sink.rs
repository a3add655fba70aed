//! Written texts -> lines of text on standard output.

use std::io::Write;

use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::stream::{Bad, Sink};

/// What was written for an input.
pub(crate) struct Written {
    /// Its sequences; none where the only one has gone to standard output as it came.
    pub(crate) texts: Vec<String>,
    /// Whether the source was cut.
    pub(crate) is_cut: bool,
}

/// A line for each sequence of each input, empty ones for a bad line.
pub(crate) struct TextSink {
    n_sequences: usize,
    /// Lines, or ends of lines, that are not written yet.
    lines: String,
    n_cut: u64,
}

impl TextSink {
    pub(crate) fn new(n_sequences: usize) -> Self {
        Self { n_sequences, lines: String::new(), n_cut: 0 }
    }

    /// How many sources were cut.
    pub(crate) fn n_cut(&self) -> u64 {
        self.n_cut
    }
}

impl Sink<Written> for TextSink {
    fn n_done(&self) -> u64 {
        0
    }

    fn begin(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn put(&mut self, _: Option<&RawValue>, answer: Result<Written, Bad<'_>>) -> Result<(), Failure> {
        let Written { texts, is_cut } = answer.unwrap_or(Written { texts: Vec::new(), is_cut: false });
        self.n_cut += u64::from(is_cut);
        let texts = texts.iter().map(String::as_str).chain(std::iter::repeat(""));
        texts.take(self.n_sequences).for_each(|text| self.lines.extend([text, "\n"]));
        Ok(())
    }

    fn is_last(&self, _: Option<&RawValue>, _: Result<Written, Bad<'_>>) -> Result<bool, Failure> {
        Ok(false)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let done = stdout.write_all(self.lines.as_bytes()).and_then(|()| stdout.flush());
        self.lines.clear();
        done.map_err(Failure::Output)
    }
}
