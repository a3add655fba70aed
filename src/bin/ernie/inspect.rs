//! What a directory holds, for people or as JSON.

use std::io::Write;
use std::path::Path;

use ernie::error::Error;
use ernie::model_dir::ModelSpec;
use ernie::options::{Options, Precision, Provider};
use ernie::pipeline::{GeneratorReport, Model};
use serde_json::{Value, json};

use crate::args::ModelArgs;
use crate::failure::Failure;

/// Prints what `dir` holds; a directory whose model cannot be opened is described as far as possible and then fails.
pub(crate) fn run(dir: &Path, args: &ModelArgs, as_json: bool) -> Result<(), Failure> {
    let options = args.options()?;
    let spec = ModelSpec::read(dir, &options)?;
    let model = Model::open(dir, &options);
    let report = describe(model.as_ref().map_or(&spec, Model::spec), model.as_ref());
    let text = if as_json { format!("{report}\n") } else { lines(&report) };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::Output)?;
    model.map(|_| ()).map_err(Failure::from)
}

fn describe(spec: &ModelSpec, model: Result<&Model, &Error>) -> Value {
    let sizes = &spec.dimensions;
    let mut missing: Vec<String> = Vec::new();
    if spec.graph_path.is_none() && spec.weights.is_none() {
        missing.push("weights, or an exported graph (*.onnx)".into());
    }
    let checkpoint = model.ok().and_then(Model::checkpoint_report);
    // By way of text, so that an epsilon has the digits of its own type.
    let network = model.ok().and_then(Model::architecture).and_then(|a| serde_json::to_string(a).ok());
    let network: Option<Value> = network.and_then(|text| serde_json::from_str(&text).ok());
    let tokenizer = match (&spec.tokenizer, model.map(Model::tokenizer)) {
        (Err(reason), _) => {
            missing.push(format!("tokenizer: {}", reason.report()));
            None
        }
        (Ok(_), Ok(Err(reason))) => {
            missing.push(reason.report());
            None
        }
        (Ok(found), _) => Some(found.scheme.name()),
    };
    let infos = |get: fn(&Model) -> &[ernie::tensor::TensorInfo]| {
        model.map_or(Vec::new(), |m| get(m).iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let roles: serde_json::Map<String, Value> = model
        .map_or_else(|_| Vec::new(), Model::graph_roles)
        .into_iter()
        .map(|(role, name)| (role.into(), json!(name)))
        .collect();
    json!({
        "directory": spec.dir.display().to_string(),
        "graph": spec.graph_path.as_ref().map(|path| path.display().to_string()),
        "weights": spec.weights.as_ref().map(|files| files.path().display().to_string()),
        "format": checkpoint.map(|report| report.format),
        "stored_as": checkpoint.map(|report| option_name(report.stored_type)),
        "provider": model.ok().map(|model| model.options().provider.name()),
        "n_devices": model.ok().map(Model::n_devices),
        "multiplied_as": checkpoint.and(model.ok()).map(|model| multiplied_as(model.options())),
        "bytes_as_f32": checkpoint.map(|report| report.n_bytes),
        "family": spec.family.name(),
        "exported_from": spec.manifest.as_ref().map(|manifest| manifest.source_family.as_str()),
        "task": model.map_or_else(|_| spec.task.map(|t| t.name()), |m| Some(m.task().name())),
        "hidden_size": sizes.hidden_size,
        "n_labels": model.ok().map(Model::n_labels).filter(|n| *n > 0),
        "layers": sizes.n_layers,
        "heads": sizes.n_heads,
        "vocab_size": sizes.vocab_size,
        "max_tokens": model.map_or(sizes.max_positions, Model::max_tokens),
        "labels": spec.labels,
        "tokenizer": tokenizer,
        "inputs": infos(Model::graph_inputs),
        "outputs": infos(Model::graph_outputs),
        "roles": roles,
        "network": network,
        "generator": model.ok().and_then(Model::generator_report).map(|report| generator(&report)),
        "ignored": checkpoint.map(|report| report.ignored.as_slice()).unwrap_or_default(),
        "runtime": ernie::runtime::loaded().map(ToString::to_string),
        "missing": missing,
        "error": model.err().map(Error::report),
    })
}

/// How the layers of a checkpoint are multiplied.
fn multiplied_as(options: &Options) -> &'static str {
    match options.precision {
        Some(precision @ (Precision::Bf16 | Precision::Int8)) => precision.name(),
        Some(Precision::F16) if matches!(options.provider, Provider::Cuda | Provider::TensorRt) => "f16",
        _ => Precision::F32.name(),
    }
}

/// What a generator does where nobody says it.
fn generator(report: &GeneratorReport) -> Value {
    json!({
        "attention_token": report.attention_token,
        "target_type_id": report.target_type_id,
        "max_new_tokens": report.max_new_tokens,
        "max_source_tokens": report.max_source_tokens,
    })
}

/// A type of numbers as the options call it.
fn option_name(stored_type: &str) -> &str {
    match stored_type {
        "float" => "f32",
        "float16" => "f16",
        "bfloat16" => "bf16",
        other => other,
    }
}

/// Keys of a network that have lines of their own.
const SHOWN: &[&str] = &["hidden_size", "n_layers", "n_heads", "vocab_size"];

/// A line for everything that is known.
fn lines(report: &Value) -> String {
    let mut all = String::new();
    for (key, value) in report.as_object().into_iter().flatten() {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Array(list) if list.is_empty() => continue,
            Value::Array(list) => list
                .iter()
                .map(|v| v.as_str().map_or_else(|| v.to_string(), ToOwned::to_owned))
                .collect::<Vec<_>>()
                .join(", "),
            Value::Object(map) if map.is_empty() => continue,
            Value::Object(map) => {
                let shown = map.iter().filter(|(k, v)| !v.is_null() && !SHOWN.contains(&k.as_str()));
                shown.map(|(k, v)| format!("{k}={}", plain(v))).collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        all.push_str(&format!("{key:<12} {text}\n"));
    }
    all
}

/// A value without the quotes of a string.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
