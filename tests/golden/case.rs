//! One folder of reference data: what to open, with which options, and what must come out.

use std::path::{Path, PathBuf};

use ernie::options::Options;
use ernie::tokenize::Encoding;
use safetensors::SafeTensors;
use serde_json::Value;

/// A tensor that the reference gave.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Name of our output.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f32>,
}

/// One text, or several rows of one text, and what they give.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) id: String,
    pub(crate) text: Option<String>,
    pub(crate) pair: Option<String>,
    pub(crate) encoding: Encoding,
    pub(crate) wanted: Vec<Wanted>,
    /// Whether the reference was given a mask of ones.
    pub(crate) has_mask: bool,
    /// Tokens where `mlm_transform` is given.
    pub(crate) top: Vec<Top>,
}

/// The best words of a masked token.
#[derive(Clone, Debug)]
pub(crate) struct Top {
    pub(crate) position: usize,
    pub(crate) ids: Vec<usize>,
    pub(crate) logits: Vec<f32>,
}

/// Named rows of numbers given as tensors, and what they give.
#[derive(Clone, Debug)]
pub(crate) struct Padded {
    pub(crate) name: String,
    pub(crate) inputs: Vec<(String, Vec<i64>)>,
    pub(crate) n_rows: usize,
    /// Tokens of each row that are no padding.
    pub(crate) lengths: Vec<usize>,
    pub(crate) wanted: Vec<Wanted>,
}

/// A model and all that is known of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) atol: f32,
    pub(crate) texts: Vec<Text>,
    pub(crate) padded: Vec<Padded>,
    /// Rows of a masked token, which the reference itself gives with noise.
    pub(crate) skips_masked_rows: bool,
}

impl Case {
    /// The models of a folder: one, but for the two encoders of a dual one and for ERNIE-M with and without a mask.
    pub(crate) fn all(dir: &Path) -> Vec<Self> {
        let file = File::open(dir);
        let name = dir.file_name().unwrap().to_str().unwrap();
        let model = |sub: &str, only: &str, options: &[(&str, &str)]| file.case(name, sub, only, options);
        if dir.join("query").is_dir() {
            return vec![model("query", "query_embedding", &[]), model("title", "title_embedding", &[])];
        }
        if dir.join("cross").is_dir() {
            return vec![model("cross", "", &[])];
        }
        let weights = file.weights();
        let mut options: Vec<(&str, &str)> = Vec::new();
        if let Some(weights) = weights.as_ref() {
            options.push(("weights", weights));
        }
        // Nothing in a paddle-ernie checkpoint tells a classifier with two labels from a span head.
        let is_seed = file.expect["format"].as_str() == Some("paddle-ernie");
        if is_seed && file.expect["task"] == "question_answering" {
            options.push(("task", "question_answering"));
        }
        let sub = file.expect["config_dir"].as_str().unwrap_or(if dir.join("pretrained").is_dir() {
            "pretrained"
        } else {
            "."
        });
        if file.has_variant("masked/") {
            let masked = [("attention_mask", "all")];
            return vec![model(sub, "default/", &options), model(sub, "masked/", &masked)];
        }
        vec![model(sub, "", &options)]
    }
}

struct File {
    dir: PathBuf,
    expect: Value,
    tensors: Vec<u8>,
}

impl File {
    fn open(dir: &Path) -> Self {
        let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
        Self {
            dir: dir.to_owned(),
            expect: serde_json::from_slice(&read("expect.json")).unwrap(),
            tensors: read("expect.safetensors"),
        }
    }

    fn weights(&self) -> Option<String> {
        let given = self.expect["weights"].as_str().map(|path| self.dir.join(path));
        let usual = Some(self.dir.join("save_dir/ckpt.bin")).filter(|path| path.is_file());
        given.or(usual).map(|path| path.to_str().unwrap().to_owned())
    }

    fn has_variant(&self, prefix: &str) -> bool {
        self.expect["inputs"][0]["outputs"].as_object().is_some_and(|o| o.keys().any(|name| name.starts_with(prefix)))
    }

    fn case(&self, name: &str, sub: &str, only: &str, options: &[(&str, &str)]) -> Case {
        let mut all = Options::default();
        options.iter().for_each(|(key, value)| all.set(key, value).unwrap());
        let suffix = if only.is_empty() { String::new() } else { format!(" ({})", only.trim_end_matches('/')) };
        let mut texts: Vec<Text> = Vec::new();
        for input in self.expect["inputs"].as_array().unwrap() {
            texts.extend(self.texts(input, only));
        }
        for window in self.expect["windows"].as_array().into_iter().flatten() {
            texts.extend(self.texts(window, only));
        }
        texts.retain(|text| !text.encoding.input_ids.is_empty());
        Case {
            name: format!("{name}{suffix}"),
            dir: self.dir.join(sub),
            options: all,
            atol: self.expect["tolerance"]["advised_atol"].as_f64().unwrap() as f32,
            padded: self.padded(&texts, only),
            texts,
            skips_masked_rows: {
                let format = self.expect["format"].as_str().unwrap_or_default();
                !matches!(format, "paddlenlp" | "hf")
            },
        }
    }

    /// The texts of one entry: one, or one for each choice.
    fn texts(&self, input: &Value, only: &str) -> Vec<Text> {
        let id = input["id"].as_str().unwrap();
        if input["choices"].is_array() {
            return self.choices(input);
        }
        let Some(ids) = input["input_ids"].as_array() else { return Vec::new() };
        let mut wanted = self.wanted(&input["outputs"], only);
        for (key, name) in [("nsp_logits", "nsp_logits"), ("mlm_transform", "mlm_transform")] {
            if input[key].is_object() {
                let mut tensor = self.tensor(name, &input[key]);
                if tensor.shape.len() == 2 && name == "mlm_transform" {
                    tensor.shape.insert(0, 1);
                }
                wanted.push(tensor);
            }
        }
        let text = Text {
            id: id.to_owned(),
            text: input["text"].as_str().map(ToOwned::to_owned),
            pair: input["pair"].as_str().map(ToOwned::to_owned),
            encoding: encoding(&numbers(ids), input["token_type_ids"].as_array().map(|types| numbers(types))),
            wanted,
            has_mask: input["attention_mask"].is_array() && only != "default/",
            top: input["top10"].as_array().into_iter().flatten().map(top).collect(),
        };
        vec![text]
    }

    /// The choices of a question, each with its own number of the reference's row.
    fn choices(&self, input: &Value) -> Vec<Text> {
        let logits = self.tensor("logits", &input["outputs"]["logits"]);
        let rows = |key: &str| -> Vec<Vec<i64>> { serde_json::from_value(input[key].clone()).unwrap() };
        let (ids, types, masks) = (rows("input_ids"), rows("token_type_ids"), rows("attention_mask"));
        let texts = input["choices"].as_array().unwrap().iter().enumerate().map(|(index, choice)| {
            let n_tokens = masks[index].iter().filter(|m| **m != 0).count();
            let wanted = Wanted { name: "logits".into(), shape: vec![1, 1], data: vec![logits.data[index]] };
            Text {
                id: format!("{}/{index}", input["id"].as_str().unwrap()),
                text: input["text"].as_str().map(ToOwned::to_owned),
                pair: choice.as_str().map(ToOwned::to_owned),
                encoding: encoding(&ids[index][..n_tokens], Some(types[index][..n_tokens].to_vec())),
                wanted: vec![wanted],
                has_mask: true,
                top: Vec::new(),
            }
        });
        texts.collect()
    }

    fn wanted(&self, outputs: &Value, only: &str) -> Vec<Wanted> {
        let outputs = outputs.as_object().into_iter().flatten();
        let outputs = outputs.filter(|(name, _)| name.starts_with(only) && *name != "merged_logits");
        outputs.map(|(name, entry)| self.tensor(&our_name(name), entry)).collect()
    }

    fn tensor(&self, name: &str, entry: &Value) -> Wanted {
        let all = SafeTensors::deserialize(&self.tensors).unwrap();
        let tensor = all.tensor(entry["key"].as_str().unwrap()).unwrap();
        let data = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        Wanted { name: name.to_owned(), shape: tensor.shape().to_vec(), data }
    }

    /// Batches, variants and other tensors that are no texts.
    fn padded(&self, texts: &[Text], only: &str) -> Vec<Padded> {
        let mut all = Vec::new();
        let text = |id: &Value| texts.iter().find(|text| text.id == id.as_str().unwrap());
        for (number, batch) in self.expect["batches"].as_array().into_iter().flatten().enumerate() {
            // A batch of ERNIE-M says to which mask it belongs; the one with a mask is checked by texts.
            if batch["variant"].as_str().is_some_and(|variant| variant != "default" || only != "default/") {
                continue;
            }
            let members: Option<Vec<&Text>> = batch["members"].as_array().unwrap().iter().map(text).collect();
            let Some(members) = members else { continue };
            let wanted = self.wanted(&batch["outputs"], if only.ends_with('/') { "" } else { only });
            all.push(batch_of(format!("batch {number}"), &members, batch, wanted));
        }
        for variant in self.expect["variants"].as_array().into_iter().flatten() {
            let member = text(&variant["member"]).unwrap();
            all.extend(self.variant(member, variant, variant["args"].as_object().unwrap(), only));
        }
        for key in ["explicit_positions", "no_token_type_ids"] {
            let entry = &self.expect[key];
            if let (true, Some(member)) = (entry.is_object(), entry["member"].as_str()) {
                let member = texts.iter().find(|text| text.id == member).unwrap();
                let args = entry.as_object().unwrap().iter().filter(|(name, _)| *name == "position_ids");
                let args: serde_json::Map<String, Value> =
                    args.map(|(k, v)| (k.clone(), Value::Array(vec![v.clone()]))).collect();
                let with_types = key == "explicit_positions";
                all.extend(self.variant(member, entry, &args, only).map(|mut padded| {
                    padded.name = key.to_owned();
                    padded.inputs.retain(|(name, _)| with_types || name != "token_type_ids");
                    padded
                }));
            }
        }
        all
    }

    fn variant(
        &self,
        member: &Text,
        entry: &Value,
        args: &serde_json::Map<String, Value>,
        only: &str,
    ) -> Option<Padded> {
        let wanted = self.wanted(&entry["outputs"], only);
        let name = entry["name"].as_str().unwrap_or("variant").to_owned();
        let n_tokens = member.encoding.len();
        let mut inputs = vec![("input_ids".to_owned(), member.encoding.input_ids.clone())];
        // transformers were called with what is listed, PaddleNLP with the types as well.
        let lists_all = self.expect["format"].as_str() == Some("hf");
        if !lists_all {
            inputs.push(("token_type_ids".to_owned(), member.encoding.token_type_ids.clone()));
        }
        for (key, value) in args {
            let row = value[0].as_array().unwrap_or_else(|| panic!("{name}: {key}"));
            inputs.push((key.clone(), numbers(row)));
        }
        (!wanted.is_empty()).then(|| Padded { name, inputs, n_rows: 1, lengths: vec![n_tokens], wanted })
    }
}

/// Texts padded to the longest, as the reference ran them.
fn batch_of(name: String, members: &[&Text], batch: &Value, wanted: Vec<Wanted>) -> Padded {
    let lengths: Vec<usize> = members.iter().map(|text| text.encoding.len()).collect();
    let widest = wanted.iter().filter(|w| w.shape.len() > 2 || w.name.contains("start") || w.name.contains("end"));
    let n_tokens = widest.map(|w| w.shape[1]).max().or(lengths.iter().copied().max()).unwrap();
    let pad_id = batch["pad_id"].as_i64().unwrap_or(0);
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    for text in members {
        let fill = n_tokens - text.encoding.len();
        let parts = [&text.encoding.input_ids, &text.encoding.token_type_ids, &text.encoding.attention_mask];
        for ((column, part), pad) in columns.iter_mut().zip(parts).zip([pad_id, 0, 0]) {
            column.extend_from_slice(part);
            column.extend(std::iter::repeat_n(pad, fill));
        }
    }
    let [ids, types, mask] = columns;
    let mut inputs = vec![("input_ids".to_owned(), ids), ("token_type_ids".to_owned(), types)];
    if batch["attention_mask"].as_str() == Some("2-D") {
        inputs.push(("attention_mask".to_owned(), mask));
    }
    Padded { name, inputs, n_rows: members.len(), lengths, wanted }
}

fn our_name(name: &str) -> String {
    match name {
        "query_embedding" | "title_embedding" => "embedding".to_owned(),
        name => name.rsplit('/').next().unwrap().to_owned(),
    }
}

fn numbers(values: &[Value]) -> Vec<i64> {
    values.iter().map(|value| value.as_i64().unwrap()).collect()
}

fn encoding(ids: &[i64], types: Option<Vec<i64>>) -> Encoding {
    Encoding {
        token_type_ids: types.unwrap_or_else(|| vec![0; ids.len()]),
        attention_mask: vec![1; ids.len()],
        offsets: vec![Default::default(); ids.len()],
        sequence: vec![0; ids.len()],
        input_ids: ids.to_vec(),
        ..Encoding::default()
    }
}

fn top(entry: &Value) -> Top {
    Top {
        position: entry["position"].as_u64().unwrap() as usize,
        ids: serde_json::from_value(entry["ids"].clone()).unwrap(),
        logits: serde_json::from_value(entry["logits"].clone()).unwrap(),
    }
}
