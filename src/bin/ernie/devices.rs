//! Which providers can be used here, and what the others lack.

use std::io::Write;

use ernie::options::{Options, Provider};
use ernie::pipeline::check_provider;
use serde_json::{Value, json};

use crate::args::DevicesArgs;
use crate::failure::Failure;

/// Prints a line for each provider, or one JSON object.
pub(crate) fn run(args: &DevicesArgs) -> Result<(), Failure> {
    let base = args.options()?;
    // Without a runtime nothing can be said of its providers.
    check_provider(&Options { provider: Provider::Cpu, device_ids: vec![0], ..base.clone() })?;
    let check = |(name, provider): &(&str, Provider)| {
        let has_devices = matches!(provider, Provider::Cuda | Provider::TensorRt);
        let device_ids = if has_devices { base.device_ids.clone() } else { vec![0] };
        let options = Options { provider: *provider, device_ids, ..base.clone() };
        let missing = check_provider(&options).err().map(|error| error.report());
        json!({ "provider": name, "is_available": missing.is_none(), "missing": missing })
    };
    let providers: Vec<Value> = Provider::ALL.iter().map(check).collect();
    let runtime = ernie::runtime::loaded().map(ToString::to_string);
    let text = if args.json {
        format!("{}\n", json!({ "runtime": runtime, "device_ids": base.device_ids, "providers": providers }))
    } else {
        let mut text = format!("{:<9} {}\n", "runtime", runtime.as_deref().unwrap_or("none"));
        for provider in &providers {
            let said = provider["missing"].as_str().unwrap_or("can be used");
            text.push_str(&format!("{:<9} {said}\n", provider["provider"].as_str().unwrap_or_default()));
        }
        text
    };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::Output)
}
