//! Vectors of texts.

use ernie::options::Options;
use ernie::pipeline::{Call, Model, Normalize, Pooling};
use ernie::tokenize::Truncation;

use crate::{message, open, text};

const LONG: &str =
    "今天天气很好，我们去看书。他说这个不错，房间大小干净，服务很好。我在北京上海的房间看书，中国人是好人！";

/// The layer before the last is the last of the same checkpoint with a layer less.
#[test]
fn averaged_layers_are_the_mean_of_the_last_ones() {
    let name = "hf_encoder_safetensors";
    let dir = tempfile::tempdir().unwrap();
    let source = crate::support::root().join("tests/fixtures/checkpoints").join(name);
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let config = std::fs::read_to_string(source.join("config.json")).unwrap();
    assert!(config.contains("\"num_hidden_layers\": 2"));
    let shorter = config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    std::fs::write(dir.path().join("config.json"), shorter).unwrap();
    let (last, both) = (open(name, &[]), open(name, &[("average_layers", "2")]));
    let before = Model::open(dir.path(), &Options::default()).unwrap();
    let inputs = [text("今天天气很好"), text("我"), text(LONG)];
    let call = Call { with_token_vectors: true, pooling: Pooling::Mean, ..Call::default() };
    let vectors = |model: &Model| model.encode(&inputs, &call).unwrap();
    let (last, before, both) = (vectors(&last), vectors(&before), vectors(&both));
    for index in 0..inputs.len() {
        let halves = last.token_vectors[index].data.iter().zip(&before.token_vectors[index].data);
        let mean: Vec<f32> = halves.map(|(a, b)| (a + b) / 2.0).collect();
        crate::support::assert_close("vectors", &both.token_vectors[index].data, &mean, 1e-6, 1e-6);
    }
    // The first token alone gives the same as with all others.
    let cls = Call { pooling: Pooling::Cls, ..Call::default() };
    let model = open(name, &[("average_layers", "2")]);
    let first = model.encode(&inputs, &cls).unwrap().matrix.unwrap();
    for index in 0..inputs.len() {
        crate::support::assert_close("first", first.row(index), both.token_vectors[index].row(0), 1e-6, 1e-6);
    }
    let mut options = Options::default();
    options.set("average_layers", "3").unwrap();
    assert!(message(Model::open(&source, &options)).contains("option average_layers is 3, the model has 2 layers"));
}

#[test]
fn a_long_text_has_the_mean_of_its_tokens_in_windows() {
    let model = open("paddle_ernie_pdparams", &[]);
    let call = Call {
        truncation: Some(Truncation::Windows),
        doc_stride: Some(8),
        max_tokens: Some(20),
        with_token_vectors: true,
        ..Call::default()
    };
    for pooling in [Pooling::Mean, Pooling::Max, Pooling::Cls, Pooling::Pooler] {
        let call = Call { pooling, normalize: Normalize::None, ..call.clone() };
        let output = model.encode(&[text(LONG), text("今天")], &call).unwrap();
        let tokens = &output.token_vectors[0];
        assert_eq!(tokens.n_rows, LONG.chars().count() + 2);
        let row = output.matrix.as_ref().unwrap().row(0).to_vec();
        let column = |k: usize| (0..tokens.n_rows).map(move |row| tokens.row(row)[k]);
        let wanted: Option<Vec<f32>> = match pooling {
            Pooling::Mean => Some((0..row.len()).map(|k| column(k).sum::<f32>() / tokens.n_rows as f32).collect()),
            Pooling::Max => Some((0..row.len()).map(|k| column(k).fold(f32::MIN, f32::max)).collect()),
            _ => None,
        };
        if let Some(wanted) = wanted {
            crate::support::assert_close("vector", &row, &wanted, 1e-5, 1e-5);
        }
        let short = model.encode(&[text("今天")], &Call { pooling, ..Call::default() }).unwrap().matrix.unwrap();
        assert_eq!(output.matrix.unwrap().row(1), short.row(0), "{pooling:?}");
    }
}

#[test]
fn one_bad_text_leaves_the_vectors_of_the_others() {
    let model = open("paddle_ernie_pdparams", &[]);
    let call = Call { truncation: Some(Truncation::Error), ..Call::default() };
    let output = model.encode_each(vec![Ok(text("今天")), Ok(text(LONG)), Ok(text("我们"))], &call).unwrap();
    let matrix = output.matrix.unwrap();
    assert!(matrix.row(1).iter().all(|x| x.is_nan()) && !matrix.row(0)[0].is_nan());
    let alone = model.encode(&[text("我们")], &Call::default()).unwrap().matrix.unwrap();
    assert_eq!(matrix.row(2), alone.row(0));
    assert!(output.errors[1].as_ref().unwrap().to_string().starts_with("input 1: the text has"));
    assert_eq!(output.encodings.iter().map(|encoding| encoding.input).collect::<Vec<_>>(), [0, 1, 2]);
}
