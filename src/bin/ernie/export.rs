//! A checkpoint as a bundle.

use std::io::Write;

use ernie::options::Options;
use ernie::pipeline::export::{GraphKind, export};

use crate::args::ExportArgs;
use crate::failure::Failure;

/// Writes the bundle and says what was written.
pub(crate) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let options = args.model.options()?;
    let options = Options { precision: args.precision().or(options.precision), ..options };
    let kind = if args.plain { GraphKind::Plain } else { GraphKind::Own };
    let done = export(&args.dir, &args.out, &options, kind)?;
    let line = format!("{}: {}, {} bytes of weights\n", done.dir.display(), done.task, done.n_weight_bytes);
    std::io::stdout().lock().write_all(line.as_bytes()).map_err(Failure::Output)
}
