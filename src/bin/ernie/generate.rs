//! Texts -> the texts that a model writes for them.

use std::io::{Error, Write};

use ernie::pipeline::{Call, Generation, Model, OnText, Output, Piece};

use crate::args::{Form, GenerateArgs};
use crate::failure::Failure;
use crate::line_sink::LineSink;
use crate::progress;
use crate::records::{self, Object, error_of};
use crate::request::Texts;
use crate::sources::sources;
use crate::stream::{self, Answers, Work};
use crate::text_sink::{TextSink, Written};

struct Generating {
    model: Model,
    settings: Generation,
}

/// Texts as objects.
struct Objects {
    generating: Generating,
    with_ids: bool,
}

/// Texts as they come, on standard output.
struct Pieces(Generating);

/// Writes a text for every line.
pub(crate) fn run(args: &GenerateArgs) -> Result<(), Failure> {
    let sources = sources(&args.bulk.files)?;
    let form = args.form()?;
    let generating = Generating { model: Model::open(&args.dir, &args.options()?)?, settings: args.settings() };
    // What no text can change is found out before the first one.
    generating.model.generate(&[], &Call::default(), &generating.settings, None)?;
    let read = args.read(form);
    let common = (&args.bulk, &read);
    match form {
        Form::JsonLines => {
            let mut sink = LineSink::open(&args.bulk, &sources)?;
            stream::run(&Objects { generating, with_ids: args.ids }, &mut sink, &sources, common)
        }
        Form::Texts => {
            let mut sink = TextSink::new(generating.settings.n_sequences);
            let done = stream::run(&Pieces(generating), &mut sink, &sources, common);
            progress::tell_cut(sink.n_cut());
            done
        }
    }
}

impl Generating {
    fn each<A>(
        &self,
        requests: &[&Texts],
        on_text: Option<&mut OnText<'_>>,
        answer: impl Fn(&Output, usize) -> A,
    ) -> Result<Answers<A>, Failure> {
        let inputs = requests.iter().map(|texts| Ok(texts.input())).collect();
        let output = self.model.generate_each(inputs, &Call::default(), &self.settings, on_text)?;
        let answer = |index| error_of(&output, index).map_or_else(|| Ok(answer(&output, index)), Err);
        Ok((0..requests.len()).map(answer).collect())
    }
}

impl Work for Objects {
    type Request = Texts;
    type Answer = Object;

    fn answer(&self, requests: &[&Texts]) -> Result<Answers<Object>, Failure> {
        let is_list = self.generating.settings.n_sequences > 1;
        self.generating.each(requests, None, |output, index| {
            let sequences = output.generated.get(index).map(Vec::as_slice).unwrap_or_default();
            let object = records::written(sequences, is_list, self.with_ids);
            records::add_encodings(object, output, index, false)
        })
    }
}

impl Work for Pieces {
    type Request = Texts;
    type Answer = Written;

    fn answer(&self, requests: &[&Texts]) -> Result<Answers<Written>, Failure> {
        let Self(generating) = self;
        let mut lost: Option<Error> = None;
        let mut write = |Piece { text, .. }: Piece<'_>| {
            let mut stdout = std::io::stdout().lock();
            if lost.is_none() {
                lost = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).err();
            }
            lost.is_none()
        };
        // Pieces of several sequences would get mixed up.
        let is_one = generating.settings.n_sequences == 1;
        let on_text = is_one.then_some(&mut write as &mut OnText<'_>);
        let answers = generating.each(requests, on_text, |output, index| Written {
            texts: match is_one {
                true => Vec::new(),
                false => output.generated.get(index).into_iter().flatten().map(|one| one.text.clone()).collect(),
            },
            is_cut: records::is_cut(output, index),
        })?;
        lost.map_or(Ok(answers), |error| Err(Failure::Output(error)))
    }
}
