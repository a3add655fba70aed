//! Lines -> the library -> answers, a chunk at a time and in order.

use serde_json::value::RawValue;

use crate::args::{BulkArgs, ReadArgs};
use crate::failure::Failure;
use crate::lines::{Line, Lines};
use crate::progress::Progress;
use crate::request::{Record, Request, record};
use crate::sources::Source;

/// What answers.
pub(crate) trait Work {
    type Request: Request;
    type Answer;

    /// The answer to each request, or what is wrong with it.
    fn answer(&self, requests: &[&Self::Request]) -> Result<Answers<Self::Answer>, Failure>;
}

/// Answers in the order of their requests.
pub(crate) type Answers<A> = Vec<Result<A, String>>;

/// A line that cannot be answered.
pub(crate) struct Bad<'a> {
    /// The input, where there are several.
    pub(crate) file: Option<&'a str>,
    pub(crate) line: u64,
    pub(crate) reason: &'a str,
}

/// Where answers go.
pub(crate) trait Sink<A> {
    /// How many lines an earlier run has answered.
    fn n_done(&self) -> u64;
    /// Makes room for the answers behind those; nothing is changed before.
    fn begin(&mut self) -> Result<(), Failure>;
    fn put(&mut self, id: Option<&RawValue>, answer: Result<A, Bad<'_>>) -> Result<(), Failure>;
    /// Whether this is what the last line of that run says.
    fn is_last(&self, id: Option<&RawValue>, answer: Result<A, Bad<'_>>) -> Result<bool, Failure>;
    /// Writes what was put.
    fn flush(&mut self) -> Result<(), Failure>;
}

/// Answers every line of the inputs that has no answer yet.
pub(crate) fn run<W: Work>(
    work: &W,
    sink: &mut impl Sink<W::Answer>,
    sources: &[Source],
    (bulk, read): (&BulkArgs, &ReadArgs),
) -> Result<(), Failure> {
    let mut lines = Lines::new(sources, read.format);
    let mut progress = Progress::new(sources, bulk.progress, bulk.output()?.is_some());
    let n_done = sink.n_done();
    let (mut n_seen, mut n_bad, mut has_begun) = (0, 0, false);
    loop {
        let chunk = lines.chunk(read.chunk as usize)?;
        let n_lines = chunk.len() as u64;
        let n_bytes: u64 = chunk.iter().map(|line| line.n_bytes).sum();
        let n_skipped = n_lines.min(n_done - n_seen);
        n_seen += n_skipped;
        if n_skipped == n_lines && n_lines > 0 {
            if n_seen == n_done {
                check_last(sink, answer_chunk(work, &chunk)?.pop(), chunk.last(), sources)?;
            }
            progress.skip(n_lines, n_bytes);
            continue;
        }
        if n_seen < n_done {
            return Err(Failure::Refused(format!(
                "the output has {n_done} lines, the inputs have {n_seen}: it is not of these inputs"
            )));
        }
        let n_bytes_skipped: u64 = chunk.iter().take(n_skipped as usize).map(|line| line.n_bytes).sum();
        if n_skipped > 0 {
            progress.skip(n_skipped, n_bytes_skipped);
        }
        // A chunk that was cut off is answered as a whole again, as it was the first time.
        let mut rest = answer_chunk(work, &chunk)?;
        let mut kept = rest.drain(..n_skipped as usize);
        check_last(sink, kept.next_back(), chunk.iter().take(n_skipped as usize).next_back(), sources)?;
        drop(kept);
        if !has_begun {
            sink.begin()?;
            has_begun = true;
        }
        if chunk.is_empty() {
            break;
        }
        let rest = chunk.iter().skip(n_skipped as usize).zip(rest);
        n_bad += put(sink, rest, sources, bulk.strict, &progress)?;
        progress.add(n_lines - n_skipped, n_bytes - n_bytes_skipped);
    }
    progress.finish();
    if n_bad == 0 {
        return Ok(());
    }
    let message = format!("{n_bad} bad {}", if n_bad == 1 { "line" } else { "lines" });
    if bulk.fail {
        return Err(Failure::Line(message));
    }
    progress.warn(&message);
    Ok(())
}

/// The `id` of a line and its answer.
type Answered<A> = (Option<Box<RawValue>>, Result<A, String>);

fn answer_chunk<W: Work>(work: &W, chunk: &[Line]) -> Result<Vec<Answered<W::Answer>>, Failure> {
    let records: Vec<Record<W::Request>> = chunk.iter().map(record).collect();
    let good: Vec<&W::Request> = records.iter().filter_map(|record| record.request.as_ref().ok()).collect();
    let mut answers = if good.is_empty() { Vec::new() } else { work.answer(&good)? }.into_iter();
    let answered = |Record { id, request }: Record<W::Request>| {
        let answer = request.and_then(|_| answers.next().unwrap_or_else(|| Err("no answer".into())));
        (id, answer)
    };
    Ok(records.into_iter().map(answered).collect())
}

/// Whether the last line that an earlier run left is what this one answers to it.
fn check_last<A>(
    sink: &impl Sink<A>,
    answered: Option<Answered<A>>,
    line: Option<&Line>,
    sources: &[Source],
) -> Result<(), Failure> {
    let (Some((id, answer)), Some(line)) = (answered, line) else { return Ok(()) };
    let file = file_of(line, sources);
    let is_last = match answer {
        Ok(answer) => sink.is_last(id.as_deref(), Ok(answer))?,
        Err(reason) => sink.is_last(id.as_deref(), Err(Bad { file, line: line.number, reason: &reason }))?,
    };
    if is_last {
        return Ok(());
    }
    let place = file.map_or_else(String::new, |file| format!("{file}: "));
    let number = line.number;
    Err(Failure::Refused(format!(
        "the output is of another run: its last line is not the answer to {place}line {number}"
    )))
}

/// The input of a line, where there are several.
fn file_of<'a>(line: &Line, sources: &'a [Source]) -> Option<&'a str> {
    (sources.len() > 1).then(|| sources[line.source].name.as_str())
}

/// Puts answers where they go; how many lines have none.
fn put<'a, A>(
    sink: &mut impl Sink<A>,
    answered: impl Iterator<Item = (&'a Line, Answered<A>)>,
    sources: &[Source],
    is_strict: bool,
    progress: &Progress,
) -> Result<u64, Failure> {
    let mut n_bad = 0;
    for (line, (id, answer)) in answered {
        let reason = match answer {
            Ok(answer) => {
                sink.put(id.as_deref(), Ok(answer))?;
                continue;
            }
            Err(reason) => reason,
        };
        let file = file_of(line, sources);
        let place = file.map_or_else(String::new, |file| format!("{file}: "));
        let message = format!("{place}line {}: {reason}", line.number);
        if is_strict {
            sink.flush()?;
            return Err(Failure::Line(message));
        }
        progress.warn(&message);
        sink.put(id.as_deref(), Err(Bad { file, line: line.number, reason: &reason }))?;
        n_bad += 1;
    }
    sink.flush()?;
    Ok(n_bad)
}
