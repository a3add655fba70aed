//! Answers -> JSON Lines, on standard output or in a file.

use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, StdoutLock, Write};

use serde_json::value::RawValue;

use crate::args::BulkArgs;
use crate::failure::Failure;
use crate::output_file::{Existing, OutputFile};
use crate::records::Object;
use crate::sources::Source;
use crate::stream::{Bad, Sink};

const BUFFER_BYTES: usize = 1 << 16;

/// Where the lines go.
enum Target {
    Stdout(BufWriter<StdoutLock<'static>>),
    File(OutputFile, Vec<u8>),
}

/// A line for each answer.
pub(crate) struct LineSink {
    target: Target,
    /// Complete lines that are kept, and the bytes they take.
    n_lines: u64,
    n_bytes: u64,
}

impl LineSink {
    pub(crate) fn open(bulk: &BulkArgs, sources: &[Source]) -> Result<Self, Failure> {
        let Some(path) = &bulk.output else {
            let writer = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
            return Ok(Self { target: Target::Stdout(writer), n_lines: 0, n_bytes: 0 });
        };
        let mut file = OutputFile::open(path, bulk.existing(), sources)?;
        let (n_lines, n_bytes) = match file.existing {
            Existing::Kept => complete_lines(&mut file)?,
            Existing::Refused | Existing::Replaced => (0, 0),
        };
        Ok(Self { target: Target::File(file, Vec::with_capacity(BUFFER_BYTES)), n_lines, n_bytes })
    }

    fn write(&mut self, object: &Object) -> Result<(), Failure> {
        match &mut self.target {
            Target::Stdout(writer) => {
                serde_json::to_writer(&mut *writer, object).map_err(|e| Failure::Output(e.into()))?;
                writer.write_all(b"\n").map_err(Failure::Output)
            }
            Target::File(file, buffer) => {
                let done = serde_json::to_writer(&mut *buffer, object).map_err(std::io::Error::from);
                done.map_err(Failure::of(&file.path))?;
                buffer.push(b'\n');
                if buffer.len() >= BUFFER_BYTES { self.flush_lines() } else { Ok(()) }
            }
        }
    }

    fn flush_lines(&mut self) -> Result<(), Failure> {
        match &mut self.target {
            Target::Stdout(writer) => writer.flush().map_err(Failure::Output),
            Target::File(file, buffer) => {
                file.file.write_all(buffer).map_err(Failure::of(&file.path))?;
                buffer.clear();
                Ok(())
            }
        }
    }
}

impl Sink<Object> for LineSink {
    fn n_done(&self) -> u64 {
        self.n_lines
    }

    fn begin(&mut self) -> Result<(), Failure> {
        match &mut self.target {
            Target::Stdout(_) => Ok(()),
            Target::File(file, _) => {
                file.cut(self.n_bytes)?;
                match file.is_regular {
                    true => file.file.seek(SeekFrom::Start(self.n_bytes)).map(|_| ()).map_err(Failure::of(&file.path)),
                    false => Ok(()),
                }
            }
        }
    }

    fn put(&mut self, id: Option<&RawValue>, answer: Object) -> Result<(), Failure> {
        self.write(&Object::named(id).followed_by(answer))
    }

    fn put_bad(&mut self, id: Option<&RawValue>, bad: &Bad<'_>) -> Result<(), Failure> {
        let object = Object::named(id);
        let object = bad.file.iter().fold(object, |object, file| object.with("file", file));
        self.write(&object.with("line", &bad.line).with("error", &bad.reason))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.flush_lines()
    }
}

/// How many complete lines a file has, and the bytes they take.
fn complete_lines(file: &mut OutputFile) -> Result<(u64, u64), Failure> {
    let fail = Failure::of(&file.path);
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, &file.file);
    let (mut n_lines, mut n_complete, mut n_read) = (0, 0, 0);
    loop {
        let buffer = reader.fill_buf().map_err(&fail)?;
        if buffer.is_empty() {
            return Ok((n_lines, n_complete));
        }
        n_lines += buffer.iter().filter(|byte| **byte == b'\n').count() as u64;
        if let Some(last) = buffer.iter().rposition(|byte| *byte == b'\n') {
            n_complete = n_read + last as u64 + 1;
        }
        let n = buffer.len();
        n_read += n as u64;
        reader.consume(n);
    }
}
