//! Lines -> the library -> JSON Lines, a chunk at a time and in order.

use std::fmt;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use ernie::error::Error;
use ernie::model_dir::tokenizer::TokenizerSpec;
use ernie::model_dir::{self, limit_tokens};
use ernie::options::Options;
use ernie::pipeline::{Call, Input, Model, Output, encode_all, encode_options};
use ernie::tokenize::{Tokenizer, Truncation};

use crate::RunArgs;
use crate::lines::{Line, Lines, Record};
use crate::records::{self, Object};

/// What is asked of every line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tokenize,
    Encode,
    Infer,
}

/// Why the tool stops.
#[derive(Debug)]
pub(crate) enum Failure {
    Library(Error),
    Input(String),
    Output(std::io::Error),
    Line { number: u64, reason: String },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => f.write_str(&error.report()),
            Self::Input(reason) => f.write_str(reason),
            Self::Output(error) => write!(f, "cannot write: {error}"),
            Self::Line { number, reason } => write!(f, "line {number}: {reason}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl Failure {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }
}

/// What answers: a whole model, or a tokenizer alone.
enum Engine {
    Model(Box<Model>),
    Tokenizer(Box<Tokenizer>, Box<Options>, Option<usize>),
}

impl Engine {
    fn open(args: &RunArgs, kind: Kind) -> Result<Self, Failure> {
        let options: Options = args.options()?;
        if kind != Kind::Tokenize {
            return Ok(Self::Model(Box::new(Model::open(&args.dir, &options)?)));
        }
        let parent = args.dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = if args.dir.is_file() { parent } else { &args.dir };
        let spec = TokenizerSpec::with_options(dir, &options)?;
        let most_tokens = limit_tokens(options.max_tokens, model_dir::max_tokens(dir, spec.scheme)?)?;
        let tokenizer = Tokenizer::open(&spec)?;
        // What no text can change is found out before the first one.
        let encode_options = encode_options(&options, &Call::default(), most_tokens, Truncation::Truncate)?;
        tokenizer.encode_windows("", None, &encode_options, &mut Vec::new())?;
        Ok(Self::Tokenizer(Box::new(tokenizer), Box::new(options), most_tokens))
    }

    fn answer(&self, inputs: &[Input<'_>], call: &Call, kind: Kind) -> ernie::error::Result<Output> {
        match self {
            Self::Model(model) if kind == Kind::Encode => model.encode(inputs, call),
            Self::Model(model) => model.infer(inputs, call),
            Self::Tokenizer(tokenizer, options, most_tokens) => {
                let encode_options = encode_options(options, call, *most_tokens, Truncation::Truncate)?;
                let encodings = encode_all(tokenizer, inputs, &encode_options, options.n_threads)?;
                Ok(Output { encodings, ..Output::default() })
            }
        }
    }

    fn object(&self, output: &Output, index: usize, kind: Kind, raw: bool) -> Object {
        let object = match self {
            Self::Tokenizer(tokenizer, options, _) => {
                let first = output.encodings.partition_point(|encoding| encoding.input < index);
                let mut windows = output.encodings[first..].iter().take_while(|encoding| encoding.input == index);
                match options.truncation {
                    Some(Truncation::Windows) => records::windows(windows, tokenizer),
                    _ => windows.next().map_or_else(Object::default, |encoding| records::tokens(encoding, tokenizer)),
                }
            }
            Self::Model(_) if kind == Kind::Encode => records::vectors(output, index),
            Self::Model(_) => records::items(output, index),
        };
        match self {
            Self::Model(_) => records::add_encoding(object, output, index, raw),
            Self::Tokenizer(..) => object,
        }
    }
}

/// Answers every line of the input.
pub(crate) fn run(args: &RunArgs, call: &Call, kind: Kind) -> Result<(), Failure> {
    let engine = Engine::open(args, kind)?;
    // What no text could change is found out before the first one.
    engine.answer(&[], call, kind)?;
    let mut lines = Lines::open(args.file.as_deref(), args.format)?;
    let stdout = std::io::stdout();
    let n_lines = args.chunk as usize;
    let mut out = BufWriter::with_capacity(1 << 16, stdout.lock());
    let mut n_bad = 0_u64;
    loop {
        let chunk = lines.chunk(n_lines)?;
        if chunk.is_empty() {
            break;
        }
        n_bad += answer_chunk(&engine, args, call, kind, chunk, &mut out)?;
        out.flush().map_err(Failure::Output)?;
    }
    lines.finish();
    if n_bad > 0 {
        warn(&format!("{n_bad} bad {}", if n_bad == 1 { "line" } else { "lines" }));
    }
    Ok(())
}

fn answer_chunk(
    engine: &Engine,
    args: &RunArgs,
    call: &Call,
    kind: Kind,
    chunk: Vec<Line>,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    let good: Vec<&Record> = chunk.iter().filter_map(|line| line.content.as_ref().ok()).collect();
    let inputs: Vec<Input<'_>> = good.iter().map(|r| Input { text: &r.text, pair: r.pair.as_deref() }).collect();
    let together = engine.answer(&inputs, call, kind);
    let (mut n_bad, mut position) = (0, 0);
    for line in &chunk {
        let answer = match &line.content {
            Err(reason) => Err(reason.clone()),
            Ok(_) => {
                let answer = match &together {
                    Ok(output) => Ok(engine.object(output, position, kind, args.raw)),
                    // One text of the chunk cannot be answered: each is asked alone, to find out which.
                    Err(_) => alone(engine, inputs[position], call, kind, args.raw),
                };
                position += 1;
                answer
            }
        };
        let object = match answer {
            Ok(object) => object,
            Err(reason) if args.strict => return Err(Failure::Line { number: line.number, reason }),
            Err(reason) => {
                n_bad += 1;
                warn(&format!("line {}: {reason}", line.number));
                Object::default().with("line", &line.number).with("error", &reason)
            }
        };
        serde_json::to_writer(&mut *out, &object).map_err(|e| Failure::Output(e.into()))?;
        out.write_all(b"\n").map_err(Failure::Output)?;
    }
    Ok(n_bad)
}

/// The answer to one text, or what is wrong with it.
fn alone(engine: &Engine, input: Input<'_>, call: &Call, kind: Kind, raw: bool) -> Result<Object, String> {
    match engine.answer(&[input], call, kind) {
        Ok(output) => Ok(engine.object(&output, 0, kind, raw)),
        Err(error) => {
            let reason = error.report();
            // The line's number says which text it is.
            Err(reason.strip_prefix("input 0: ").map_or(reason.clone(), ToOwned::to_owned))
        }
    }
}

/// Says something on standard error; where nobody listens, nothing is lost.
fn warn(message: &str) {
    drop(writeln!(std::io::stderr(), "ernie: {message}"));
}
