//! Texts -> vectors.

use ernie::pipeline::{Call, Input, Model, Output, VectorType};

use crate::args::EncodeArgs;
use crate::failure::Failure;
use crate::line_sink::LineSink;
use crate::progress;
use crate::records::{self, Object, error_of};
use crate::request::Texts;
use crate::row_sink::{Row, RowSink};
use crate::sources::sources;
use crate::stream::{self, Answers, Work};

struct Encoding {
    model: Model,
    call: Call,
}

/// Vectors as objects.
struct Objects(Encoding, VectorType);

/// Vectors as rows of an array.
struct Rows(Encoding);

/// Gives the vector of every line.
pub(crate) fn run(args: &EncodeArgs) -> Result<(), Failure> {
    let sources = sources(&args.bulk.files)?;
    let array = args.array()?;
    let encoding = Encoding { model: Model::open(&args.dir, &args.options()?)?, call: args.call() };
    // What no text can change is found out before the first one.
    encoding.model.encode(&[], &encoding.call)?;
    let common = (&args.bulk, &args.read);
    match array {
        Some(path) => {
            let n_columns = encoding.n_columns()?;
            let mut sink = RowSink::open(path, args.bulk.existing(), &sources, args.vector_type(), n_columns)?;
            let done = stream::run(&Rows(encoding), &mut sink, &sources, common);
            progress::tell_cut(sink.n_cut());
            done
        }
        None => {
            let mut sink = LineSink::open(&args.bulk, &sources)?;
            stream::run(&Objects(encoding, args.vector_type()), &mut sink, &sources, common)
        }
    }
}

impl Encoding {
    /// The width of the vectors, which depends on the pooling.
    fn n_columns(&self) -> Result<usize, Failure> {
        let tried = self.model.encode(&[Input { text: "a", pair: None }], &self.call);
        let found = tried.ok().and_then(|output| output.matrix).map(|matrix| matrix.n_columns);
        found
            .or_else(|| self.model.hidden_size())
            .ok_or_else(|| Failure::Refused("the width of the vectors is not known before the first one".into()))
    }

    fn each<A>(&self, requests: &[&Texts], answer: impl Fn(&Output, usize) -> A) -> Result<Answers<A>, Failure> {
        let output = self.model.encode_each(requests.iter().map(|texts| Ok(texts.input())).collect(), &self.call)?;
        let answer = |index| error_of(&output, index).map_or_else(|| Ok(answer(&output, index)), Err);
        Ok((0..requests.len()).map(answer).collect())
    }
}

impl Work for Objects {
    type Request = Texts;
    type Answer = Object;

    fn answer(&self, requests: &[&Texts]) -> Result<Answers<Object>, Failure> {
        let Self(encoding, vector_type) = self;
        encoding.each(requests, |output, index| {
            let object = records::vectors(output, index, *vector_type);
            records::add_encodings(object, output, index, encoding.call.with_raw_outputs)
        })
    }
}

impl Work for Rows {
    type Request = Texts;
    type Answer = Row;

    fn answer(&self, requests: &[&Texts]) -> Result<Answers<Row>, Failure> {
        self.0.each(requests, |output, index| {
            let vector = output.matrix.as_ref().map(|matrix| matrix.row(index).to_vec());
            Row { vector: vector.unwrap_or_default(), is_cut: records::is_cut(output, index) }
        })
    }
}
