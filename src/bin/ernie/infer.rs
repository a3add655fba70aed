//! Texts -> what the model's task gives.

use ernie::pipeline::{Call, Model};

use crate::args::InferArgs;
use crate::failure::Failure;
use crate::line_sink::LineSink;
use crate::records::{self, Object, error_of};
use crate::request::Texts;
use crate::sources::sources;
use crate::stream::{self, Answers, Work};

struct Inferring {
    model: Model,
    call: Call,
}

/// Answers every line.
pub(crate) fn run(args: &InferArgs) -> Result<(), Failure> {
    let sources = sources(&args.bulk.files)?;
    let model = Model::open(&args.dir, &args.options()?)?;
    let call = args.call(model.task())?;
    // What no text can change is found out before the first one.
    model.infer(&[], &call)?;
    let mut sink = LineSink::open(&args.bulk, &sources)?;
    stream::run(&Inferring { model, call }, &mut sink, &sources, (&args.bulk, &args.read))
}

impl Work for Inferring {
    type Request = Texts;
    type Answer = Object;

    fn answer(&self, requests: &[&Texts]) -> Result<Answers<Object>, Failure> {
        let output = self.model.infer_each(requests.iter().map(|texts| Ok(texts.input())).collect(), &self.call)?;
        let answer = |index| match error_of(&output, index) {
            Some(reason) => Err(reason),
            None => {
                let object = records::answer(&self.model, &self.call, &output, index);
                Ok(records::add_encodings(object, &output, index, self.call.with_raw_outputs))
            }
        };
        Ok((0..requests.len()).map(answer).collect())
    }
}
