//! Which provider a model gets.

use crate::error::{Error, Result};
use crate::graph::probe;
use crate::options::{Fallback, Options, Provider};
use crate::session;

/// Whether the provider of `options` can be used here: its libraries are loaded and each of its devices runs the smallest of graphs.
///
/// # Errors
/// - [`Error::RuntimeMissing`], [`Error::ProviderUnavailable`]: what is missing, in the words of the loader or the device.
/// - [`Error::InvalidArgument`]: a folder that an option names is not there; several devices of a provider that has one.
pub fn check(options: &Options) -> Result<()> {
    check_devices(options)?;
    options
        .of_each_device()
        .iter()
        .try_for_each(|device| session::check_provider(device, &probe::build(), probe::INPUT))
}

/// Only GPUs can be several.
fn check_devices(options: &Options) -> Result<()> {
    let (n_devices, provider) = (options.device_ids.len(), options.graph_provider());
    if n_devices > 1 && !matches!(provider, Provider::Cuda | Provider::TensorRt) {
        let name = provider.name();
        return Err(Error::argument(format!("option device_id: {n_devices} devices, and provider {name} has one")));
    }
    Ok(())
}

/// The options that a model runs with: those given, or on the processor where that is wanted instead of a provider that cannot be had.
pub(super) fn in_force(options: &Options) -> Result<Options> {
    check_devices(options)?;
    if options.provider == Provider::Cpu {
        return Ok(options.clone());
    }
    match (check(options), options.fallback) {
        (Ok(()), _) => Ok(options.clone()),
        (Err(error @ Error::ProviderUnavailable { .. }), Fallback::Cpu) => {
            log::warn!("{}; the model runs on the processor", error.report());
            Ok(Options { provider: Provider::Cpu, device_ids: vec![0], ..options.clone() })
        }
        (Err(error), _) => Err(error),
    }
}
