//! Which provider a model gets.

use crate::error::{Error, Result};
use crate::graph::probe;
use crate::options::{Fallback, Options, Provider};
use crate::session;

/// Whether the provider of `options` can be used here: its libraries are loaded and its device runs the smallest of graphs.
///
/// # Errors
/// - [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`]: what is missing, in the words of the loader or the device.
/// - [`Error::InvalidArgument`]: a folder that an option names is not there.
pub fn check(options: &Options) -> Result<()> {
    session::check_provider(options, &probe::build(), probe::INPUT)
}

/// The options that a model runs with: those given, or on the processor where that is wanted instead of a provider that cannot be had.
pub(super) fn in_force(options: &Options) -> Result<Options> {
    if options.provider == Provider::Cpu {
        return Ok(options.clone());
    }
    match (check(options), options.fallback) {
        (Ok(()), _) => Ok(options.clone()),
        (Err(error @ Error::ProviderUnavailable { .. }), Fallback::Cpu) => {
            log::warn!("{}; the model runs on the processor", error.report());
            Ok(Options { provider: Provider::Cpu, ..options.clone() })
        }
        (Err(error), _) => Err(error),
    }
}
