//! Queries and candidates -> the candidates in order.

use ernie::error::Error;
use ernie::pipeline::{Call, Model};

use crate::args::RankArgs;
use crate::failure::Failure;
use crate::line_sink::LineSink;
use crate::records::{self, Object};
use crate::request::Ranking;
use crate::sources::sources;
use crate::stream::{self, Answers, Work};

struct Ranker {
    model: Model,
    call: Call,
}

/// Puts the candidates of every line in order.
pub(crate) fn run(args: &RankArgs) -> Result<(), Failure> {
    let sources = sources(&args.bulk.files)?;
    let model = Model::open(&args.dir, &args.options()?)?;
    let call = args.call(model.task(), model.spec().problem)?;
    let ranker = Ranker { model, call };
    ranker.check()?;
    let mut sink = LineSink::open(&args.bulk, &sources)?;
    stream::run(&ranker, &mut sink, &sources, (&args.bulk, &args.read()))
}

impl Ranker {
    /// Finds out before the first line what no text can change.
    fn check(&self) -> Result<(), Failure> {
        match self.model.rank("a", &["a"], &self.call) {
            Ok(_) | Err(Error::TextTooLong { .. }) => Ok(()),
            Err(error) => {
                let reason = error.report();
                Err(Failure::Refused(reason.strip_prefix("candidate 0: ").unwrap_or(&reason).to_owned()))
            }
        }
    }

    fn rank(&self, request: &Ranking) -> Result<Result<Object, String>, Failure> {
        let candidates: Vec<&str> = request.candidates.iter().map(String::as_str).collect();
        match self.model.rank(&request.query, &candidates, &self.call) {
            Ok(output) => Ok(Ok(records::ranking(&output))),
            Err(error @ (Error::InvalidArgument(_) | Error::TextTooLong { .. } | Error::Unsupported(_))) => {
                Ok(Err(error.report()))
            }
            Err(error) => Err(Failure::Library(error)),
        }
    }
}

impl Work for Ranker {
    type Request = Ranking;
    type Answer = Object;

    fn answer(&self, requests: &[&Ranking]) -> Result<Answers<Object>, Failure> {
        requests.iter().map(|request| self.rank(request)).collect()
    }
}
