//! Texts -> tokens, without a model.

use std::path::Path;

use ernie::model_dir::tokenizer::TokenizerSpec;
use ernie::model_dir::{self, limit_tokens};
use ernie::options::Options;
use ernie::pipeline::{Call, Input, encode_all, encode_options};
use ernie::tokenize::{EncodeOptions, Encoding, Tokenizer, Truncation};

use crate::args::TokenizeArgs;
use crate::failure::Failure;
use crate::line_sink::LineSink;
use crate::records::{self, Object};
use crate::request::Texts;
use crate::sources::sources;
use crate::stream::{self, Answers, Work};

struct Tokenizing {
    tokenizer: Tokenizer,
    options: EncodeOptions,
    n_threads: usize,
}

/// Gives the tokens of every line.
pub(crate) fn run(args: &TokenizeArgs) -> Result<(), Failure> {
    let sources = sources(&args.bulk.files)?;
    let work = Tokenizing::open(&args.dir, &args.options()?)?;
    let mut sink = LineSink::open(&args.bulk, &sources)?;
    stream::run(&work, &mut sink, &sources, (&args.bulk, &args.read))
}

impl Tokenizing {
    fn open(dir: &Path, options: &Options) -> Result<Self, Failure> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = if dir.is_file() { parent } else { dir };
        let spec = TokenizerSpec::with_options(dir, options)?;
        let most_tokens = limit_tokens(options.max_tokens, model_dir::max_tokens(dir, spec.scheme)?)?;
        let tokenizer = Tokenizer::open(&spec)?;
        let encode_options = encode_options(options, &Call::default(), most_tokens, Truncation::Truncate)?;
        // What no text can change is found out before the first one.
        tokenizer.encode_windows("", None, &encode_options, &mut Vec::new())?;
        Ok(Self { tokenizer, options: encode_options, n_threads: options.n_threads })
    }

    fn object(&self, encodings: &[Encoding]) -> Object {
        match (self.options.truncation, encodings) {
            (Truncation::Windows, windows) => records::windows(windows, &self.tokenizer),
            (_, [encoding, ..]) => records::tokens(encoding, &self.tokenizer),
            (_, []) => Object::default(),
        }
    }

    fn alone(&self, input: &Input<'_>) -> Result<Object, String> {
        let mut encodings = Vec::new();
        let done = self.tokenizer.encode_windows(input.text, input.pair, &self.options, &mut encodings);
        done.map(|()| self.object(&encodings)).map_err(|error| error.report())
    }
}

impl Work for Tokenizing {
    type Request = Texts;
    type Answer = Object;

    fn answer(&self, requests: &[&Texts]) -> Result<Answers<Object>, Failure> {
        let inputs: Vec<Input<'_>> = requests.iter().map(|texts| texts.input()).collect();
        let Ok(encodings) = encode_all(&self.tokenizer, &inputs, &self.options, self.n_threads) else {
            return Ok(inputs.iter().map(|input| self.alone(input)).collect());
        };
        let objects = encodings.chunk_by(|a, b| a.input == b.input).map(|windows| Ok(self.object(windows)));
        Ok(objects.collect())
    }
}
