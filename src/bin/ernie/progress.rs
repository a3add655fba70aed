//! How far the work is: a bar where a person watches, plain lines where they are asked for.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sources::Source;

/// Less is done before anybody has looked.
const LONG_BYTES: u64 = 256 << 10;
/// The time between plain lines.
const PAUSE: Duration = Duration::from_secs(10);

/// What is drawn.
enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
}

/// What was done, and since when.
pub(crate) struct Progress {
    shown: Shown,
    /// Bytes of all inputs, where they are known.
    n_bytes: Option<u64>,
    n_bytes_done: u64,
    n_bytes_skipped: u64,
    n_lines_done: u64,
    n_lines_skipped: u64,
    begin: Instant,
}

impl Progress {
    /// `plain` asks for lines; a bar is drawn where standard error is a terminal that the answers do not go to.
    pub(crate) fn new(sources: &[Source], plain: bool, to_file: bool) -> Self {
        let n_bytes: Option<u64> = sources.iter().map(|source| source.n_bytes).sum();
        let is_watched = std::io::stderr().is_terminal() && (to_file || !std::io::stdout().is_terminal());
        let is_long = match n_bytes {
            Some(n) => n >= LONG_BYTES,
            None => !std::io::stdin().is_terminal(),
        };
        let shown = match (plain, is_watched && is_long) {
            (true, _) => Shown::Lines { last: None },
            (false, true) => Shown::Bar(bar(n_bytes)),
            (false, false) => Shown::Nothing,
        };
        Self {
            shown,
            n_bytes,
            n_bytes_done: 0,
            n_bytes_skipped: 0,
            n_lines_done: 0,
            n_lines_skipped: 0,
            begin: Instant::now(),
        }
    }

    /// Counts lines that an earlier run has answered.
    pub(crate) fn skip(&mut self, n_lines: u64, n_bytes: u64) {
        self.n_lines_skipped += n_lines;
        self.n_bytes_skipped += n_bytes;
        self.begin = Instant::now();
    }

    /// Counts lines that are answered.
    pub(crate) fn add(&mut self, n_lines: u64, n_bytes: u64) {
        self.n_lines_done += n_lines;
        self.n_bytes_done += n_bytes;
        let text = self.text();
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_position(self.n_bytes_skipped + self.n_bytes_done);
                bar.set_message(text);
            }
            Shown::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= PAUSE) {
                    *last = Some(Instant::now());
                    say(&text);
                }
            }
        }
    }

    /// Says something on standard error, above the bar.
    pub(crate) fn warn(&self, message: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| say(message)),
            _ => say(message),
        }
    }

    /// Says at the end, where lines are asked for, what was done.
    pub(crate) fn finish(&self) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.finish_and_clear(),
            Shown::Lines { .. } => say(&self.summary()),
        }
    }

    fn summary(&self) -> String {
        let lines = self.lines();
        let of_this_run = match self.n_lines_skipped {
            0 => String::new(),
            _ => format!(", {} of them now,", self.n_lines_done),
        };
        let (seconds, speed) = self.pace();
        format!("{lines}{of_this_run} in {seconds:.1} s, {speed} lines/s")
    }

    /// How many lines have an answer.
    fn lines(&self) -> String {
        match self.n_lines_skipped + self.n_lines_done {
            1 => "1 line".to_owned(),
            n => format!("{n} lines"),
        }
    }

    /// Seconds so far, and lines in one of them.
    fn pace(&self) -> (f64, String) {
        let seconds = self.begin.elapsed().as_secs_f64().max(1e-3);
        let speed = self.n_lines_done as f64 / seconds;
        (seconds, if speed < 10.0 { format!("{speed:.1}") } else { format!("{speed:.0}") })
    }

    fn text(&self) -> String {
        let (seconds, speed) = self.pace();
        let mut text = format!("{}, {speed} lines/s", self.lines());
        if let (Some(n_bytes), 1..) = (self.n_bytes, self.n_bytes_done) {
            let n_left = n_bytes.saturating_sub(self.n_bytes_skipped + self.n_bytes_done);
            let left = (seconds * n_left as f64 / self.n_bytes_done as f64).ceil() as u64;
            text.push_str(&format!(", {}:{:02}:{:02} left", left / 3600, left / 60 % 60, left % 60));
        }
        text
    }
}

fn bar(n_bytes: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(n_bytes, ProgressDrawTarget::stderr());
    let template = if n_bytes.is_some() { "{wide_bar} {msg}" } else { "{msg}" };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Says how many texts were cut, where their answers do not tell it.
pub(crate) fn tell_cut(n_cut: u64) {
    match n_cut {
        0 => {}
        1 => say("1 text was cut"),
        n => say(&format!("{n} texts were cut")),
    }
}

/// Says something on standard error; where nobody listens, nothing is lost.
fn say(message: &str) {
    drop(writeln!(std::io::stderr(), "ernie: {message}"));
}
