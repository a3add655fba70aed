//! The command-line tool: `devices`, `inspect`, `export`, `tokenize`, `encode`, `infer`, `rank` and `generate` on a model's directory.
//!
//! In: text lines or JSON Lines, from files or standard input. Out: JSON Lines (or an array of vectors, or texts as they come), in input order,
//! flushed as they come. Messages go to standard error. Inputs of any size take the memory of one chunk of lines.

mod args;
mod array;
mod devices;
mod encode;
mod export;
mod failure;
mod generate;
mod infer;
mod inspect;
mod line_sink;
mod lines;
mod output_file;
mod progress;
mod rank;
mod records;
mod request;
mod row_sink;
mod sources;
mod stream;
mod text_sink;
mod tokenize;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

#[expect(clippy::print_stderr, reason = "a command-line tool reports on standard error")]
fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Inspect(args) => inspect::run(&args.dir, &args.model, args.json),
        Command::Devices(args) => devices::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Tokenize(args) => tokenize::run(&args),
        Command::Encode(args) => encode::run(&args),
        Command::Infer(args) => infer::run(&args),
        Command::Rank(args) => rank::run(&args),
        Command::Generate(args) => generate::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has had enough, as `head` does.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ernie: {error}");
            ExitCode::FAILURE
        }
    }
}
