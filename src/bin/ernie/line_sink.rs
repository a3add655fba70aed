//! Answers -> JSON Lines, on standard output or in a file.

use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, StdoutLock, Write};
use std::os::unix::fs::FileExt;

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
    /// The last of them.
    last: Vec<u8>,
    /// Bytes of a file without a complete line, which are cut off when a line is known that begins with them.
    n_unproved_bytes: u64,
}

impl LineSink {
    pub(crate) fn open(bulk: &BulkArgs, sources: &[Source]) -> Result<Self, Failure> {
        let Some(path) = bulk.lines_output()? else {
            let writer = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
            return Ok(Self::new(Target::Stdout(writer), Kept::default()));
        };
        let mut file = OutputFile::open(path, bulk.existing(), sources)?;
        let kept = match file.existing {
            Existing::Kept => complete_lines(&mut file)?,
            Existing::Refused | Existing::Replaced => Kept::default(),
        };
        Ok(Self::new(Target::File(file, Vec::with_capacity(BUFFER_BYTES)), kept))
    }

    fn new(target: Target, Kept { n_lines, n_bytes, last, n_unproved_bytes }: Kept) -> Self {
        Self { target, n_lines, n_bytes, last, n_unproved_bytes }
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
            Target::File(_, buffer) if buffer.is_empty() => Ok(()),
            Target::File(file, buffer) => {
                if self.n_unproved_bytes > 0 {
                    prove(file, self.n_unproved_bytes, buffer)?;
                    cut(file, 0)?;
                    self.n_unproved_bytes = 0;
                }
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
            Target::File(..) if self.n_unproved_bytes > 0 => Ok(()),
            Target::File(file, _) => cut(file, self.n_bytes),
        }
    }

    fn put(&mut self, id: Option<&RawValue>, answer: Result<Object, Bad<'_>>) -> Result<(), Failure> {
        self.write(&line(id, answer))
    }

    fn is_last(&self, id: Option<&RawValue>, answer: Result<Object, Bad<'_>>) -> Result<bool, Failure> {
        let written = serde_json::to_vec(&line(id, answer)).map_err(|e| Failure::Output(e.into()))?;
        Ok(self.last == written)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.flush_lines()
    }
}

/// What a line says.
fn line(id: Option<&RawValue>, answer: Result<Object, Bad<'_>>) -> Object {
    let object = Object::named(id);
    match answer {
        Ok(answer) => object.followed_by(answer),
        Err(bad) => {
            let object = bad.file.iter().fold(object, |object, file| object.with("file", file));
            object.with("line", &bad.line).with("error", &bad.reason)
        }
    }
}

/// What an earlier run left.
#[derive(Default)]
struct Kept {
    /// Complete lines, and the bytes they take.
    n_lines: u64,
    n_bytes: u64,
    /// The last of them.
    last: Vec<u8>,
    /// What there is without a complete line.
    n_unproved_bytes: u64,
}

/// Keeps so many bytes, behind which lines are written.
fn cut(file: &mut OutputFile, n_bytes: u64) -> Result<(), Failure> {
    file.cut(n_bytes)?;
    match file.is_regular {
        true => file.file.seek(SeekFrom::Start(n_bytes)).map(|_| ()).map_err(Failure::of(&file.path)),
        false => Ok(()),
    }
}

/// Refuses a file whose only, incomplete line is not the beginning of `lines`.
fn prove(file: &OutputFile, n_bytes: u64, lines: &[u8]) -> Result<(), Failure> {
    let n_bytes = usize::try_from(n_bytes).unwrap_or(usize::MAX);
    let is_proved = n_bytes <= lines.len() && {
        let mut kept = vec![0; n_bytes];
        file.file.read_exact_at(&mut kept, 0).map_err(Failure::of(&file.path))?;
        lines.starts_with(&kept)
    };
    if is_proved { Ok(()) } else { Err(no_answers(file)) }
}

fn no_answers(file: &OutputFile) -> Failure {
    Failure::Refused(format!("{}: holds no answers that could be gone on with", file.path.display()))
}

/// The complete lines of a file, which must begin as answers do.
fn complete_lines(file: &mut OutputFile) -> Result<Kept, Failure> {
    let fail = Failure::of(&file.path);
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, &file.file);
    let (mut n_lines, mut begin, mut end, mut n_read) = (0, 0, 0, 0);
    loop {
        let buffer = reader.fill_buf().map_err(&fail)?;
        if buffer.is_empty() {
            break;
        }
        if n_read == 0 && buffer[0] != b'{' {
            return Err(no_answers(file));
        }
        for (at, _) in buffer.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            n_lines += 1;
            (begin, end) = (end, n_read + at as u64 + 1);
        }
        let n = buffer.len();
        n_read += n as u64;
        reader.consume(n);
    }
    let mut last = vec![0; usize::try_from((end - begin).saturating_sub(1)).unwrap_or(0)];
    file.file.read_exact_at(&mut last, begin).map_err(&fail)?;
    let n_unproved_bytes = if n_lines == 0 { n_read } else { 0 };
    Ok(Kept { n_lines, n_bytes: end, last, n_unproved_bytes })
}
