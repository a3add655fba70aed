//! Who named the tensors, and what a canonical name is called there.
//!
//! In: the names in a checkpoint. Out: [`Names`]: the scheme and what stands before the encoder's names. Source: the
//! reference implementations' own names, `docs/FORMATS.md` section 2.

/// Whose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `word_emb.weight`, `encoder_stack.block.0.attn.q.weight`.
    PaddleErnie,
    /// `word_embedding`, `encoder_layer_0_multi_head_att_query_fc.w_0`.
    Fluid,
    /// `embeddings.word_embeddings.weight`, `encoder.layers.0.self_attn.q_proj.weight`.
    PaddleNlp,
    /// `embeddings.word_embeddings.weight`, `encoder.layer.0.attention.self.query.weight`.
    HuggingFace,
    /// `embeddings.word`, `layer.0.query.weight`: the canonical names themselves, of a bundle.
    Canonical,
}

/// The word embedding, by which a scheme is known.
const WORD_EMBEDDINGS: &[(&str, &[Scheme])] = &[
    ("word_emb.weight", &[Scheme::PaddleErnie]),
    ("word_embedding", &[Scheme::Fluid]),
    ("embeddings.word_embeddings.weight", &[Scheme::PaddleNlp, Scheme::HuggingFace]),
    ("embeddings.word", &[Scheme::Canonical]),
];

/// A scheme and the prefix of the encoder's names: `ernie.`, `bert.` or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) scheme: Scheme,
    pub(crate) prefix: String,
}

/// Why names could not be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Untold {
    /// No word embedding under any known name.
    NoEncoder,
    /// Several encoders, with these prefixes.
    Several(Vec<String>),
}

impl Names {
    /// Finds the encoder among `names`.
    pub(crate) fn find<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<Self, Untold> {
        let mut found: Vec<(Scheme, String)> = Vec::new();
        for (suffix, schemes) in WORD_EMBEDDINGS {
            for name in names.clone() {
                let Some(prefix) = name.strip_suffix(suffix).filter(|p| p.is_empty() || p.ends_with(['.', '/'])) else {
                    continue;
                };
                let by_layers = |scheme: &&Scheme| {
                    let first_layer = format!("{prefix}{}", scheme.layer_prefix(0));
                    names.clone().any(|name| name.starts_with(&first_layer))
                };
                let scheme = schemes.iter().find(by_layers).or(schemes.first()).copied();
                found.extend(scheme.map(|scheme| (scheme, prefix.to_owned())));
            }
        }
        match found.as_slice() {
            [] => Err(Untold::NoEncoder),
            [(scheme, prefix)] => Ok(Self { scheme: *scheme, prefix: prefix.clone() }),
            several => Err(Untold::Several(several.iter().map(|(_, prefix)| prefix.clone()).collect())),
        }
    }

    /// What a head's tensor is usually called; heads stand beside the encoder, not in it.
    pub(crate) fn head_name(&self, canonical: &str) -> String {
        let names = if self.scheme == Scheme::Canonical { Vec::new() } else { self.scheme.names(canonical) };
        names.into_iter().next().unwrap_or_else(|| canonical.to_owned())
    }

    /// What the tensor with this canonical name may be called, likeliest first.
    pub(crate) fn candidates(&self, canonical: &str) -> Vec<String> {
        let own: Vec<String> = match self.scheme {
            Scheme::Canonical => vec![canonical.to_owned()],
            scheme => scheme.names(canonical),
        };
        // Heads stand beside the encoder, not in it.
        let with_prefix = own.iter().map(|name| format!("{}{name}", self.prefix));
        let mut all: Vec<String> = with_prefix.chain(own.iter().cloned()).collect();
        all.dedup();
        all
    }
}

impl Scheme {
    /// What all names of a layer begin with.
    pub(crate) fn layer_prefix(self, index: usize) -> String {
        match self {
            Self::PaddleErnie => format!("encoder_stack.block.{index}."),
            Self::Fluid => format!("encoder_layer_{index}_"),
            Self::PaddleNlp => format!("encoder.layers.{index}."),
            Self::HuggingFace => format!("encoder.layer.{index}."),
            Self::Canonical => format!("layer.{index}."),
        }
    }

    fn names(self, canonical: &str) -> Vec<String> {
        if let Some(names) = self.whole_names(canonical) {
            return names.iter().map(|name| (*name).to_owned()).collect();
        }
        let Some((part, kind)) = canonical.rsplit_once('.') else { return Vec::new() };
        let (prefix, part) = match part.strip_prefix("layer.").and_then(|rest| rest.split_once('.')) {
            Some((index, part)) => (self.layer_prefix(index.parse().unwrap_or(0)), part),
            None => (String::new(), part),
        };
        let is_norm = part.ends_with("norm");
        let parts = self.parts(part);
        let suffixes = self.suffixes(kind, is_norm);
        let mut names = Vec::with_capacity(parts.len() * suffixes.len());
        for part in parts {
            names.extend(suffixes.iter().map(|suffix| format!("{prefix}{part}{suffix}")));
        }
        names
    }

    /// Names that are not made of a part and a kind.
    fn whole_names(self, canonical: &str) -> Option<&'static [&'static str]> {
        let table: &[(&str, [&'static [&'static str]; 4])] = &[
            (
                "embeddings.word",
                [
                    &["word_emb.weight"],
                    &["word_embedding"],
                    &["embeddings.word_embeddings.weight"],
                    &["embeddings.word_embeddings.weight"],
                ],
            ),
            (
                "embeddings.position",
                [
                    &["pos_emb.weight"],
                    &["pos_embedding"],
                    &["embeddings.position_embeddings.weight"],
                    &["embeddings.position_embeddings.weight"],
                ],
            ),
            (
                "embeddings.token_type",
                [
                    &["sent_emb.weight"],
                    &["sent_embedding"],
                    &["embeddings.token_type_embeddings.weight"],
                    &["embeddings.token_type_embeddings.weight"],
                ],
            ),
            (
                "embeddings.task_type",
                [
                    &["task_emb.weight"],
                    &["task_embedding"],
                    &["embeddings.task_type_embeddings.weight"],
                    &["embeddings.task_type_embeddings.weight"],
                ],
            ),
            (
                "word_bias",
                [
                    &["mlm_bias"],
                    &["mask_lm_out_fc.b_0"],
                    &["cls.predictions.decoder_bias", "cls.predictions.decoder.bias"],
                    &["cls.predictions.bias", "cls.predictions.decoder.bias"],
                ],
            ),
            (
                "classifier.weight",
                [&["classifier.weight"], FLUID_CLASSIFIERS, PADDLENLP_CLASSIFIERS, TORCH_CLASSIFIERS],
            ),
            (
                "classifier.bias",
                [&["classifier.bias"], FLUID_CLASSIFIER_BIASES, PADDLENLP_CLASSIFIER_BIASES, TORCH_CLASSIFIER_BIASES],
            ),
        ];
        let (_, by_scheme) = table.iter().find(|(name, _)| *name == canonical)?;
        by_scheme.get(self.column()?).copied()
    }

    fn parts(self, part: &str) -> &'static [&'static str] {
        let table: &[(&str, [&'static [&'static str]; 4])] = &[
            ("query", [&["attn.q"], &["multi_head_att_query_fc"], &["self_attn.q_proj"], &["attention.self.query"]]),
            ("key", [&["attn.k"], &["multi_head_att_key_fc"], &["self_attn.k_proj"], &["attention.self.key"]]),
            ("value", [&["attn.v"], &["multi_head_att_value_fc"], &["self_attn.v_proj"], &["attention.self.value"]]),
            (
                "attention_output",
                [&["attn.o"], &["multi_head_att_output_fc"], &["self_attn.out_proj"], &["attention.output.dense"]],
            ),
            ("attention_norm", [&["ln1"], &["post_att_layer_norm"], &["norm1"], &["attention.output.LayerNorm"]]),
            ("ffn_in", [&["ffn.i"], &["ffn_fc_0"], &["linear1"], &["intermediate.dense"]]),
            ("ffn_out", [&["ffn.o"], &["ffn_fc_1"], &["linear2"], &["output.dense"]]),
            ("ffn_norm", [&["ln2"], &["post_ffn_layer_norm"], &["norm2"], &["output.LayerNorm"]]),
            (
                "embeddings.norm",
                [&["ln"], &["pre_encoder_layer_norm"], &["embeddings.layer_norm"], &["embeddings.LayerNorm"]],
            ),
            ("pooler", [&["pooler"], &["pooled_fc"], &["pooler.dense"], &["pooler.dense"]]),
            (
                "next_sentence",
                [
                    &["pooler_heads.0.nsp"],
                    &["next_sent_fc", "nsp_fc"],
                    &["cls.seq_relationship"],
                    &["cls.seq_relationship"],
                ],
            ),
            (
                "word_transform",
                [&["mlm"], &["mask_lm_trans_fc"], &["cls.predictions.transform"], &["cls.predictions.transform.dense"]],
            ),
            (
                "word_norm",
                [
                    &["mlm_ln"],
                    &["mask_lm_trans_layer_norm"],
                    &["cls.predictions.layer_norm"],
                    &["cls.predictions.transform.LayerNorm"],
                ],
            ),
            ("start", [&["linear_start"], &[], &["linear_start"], &["start_linear", "linear_start"]]),
            ("end", [&["linear_end"], &[], &["linear_end"], &["end_linear", "linear_end"]]),
            ("reduce", [&["emb_reduce_linear"], &[], &["emb_reduce_linear"], &["emb_reduce_linear"]]),
        ];
        let entry = table.iter().find(|(name, _)| *name == part);
        entry.and_then(|(_, by_scheme)| by_scheme.get(self.column()?)).copied().unwrap_or(&[])
    }

    fn suffixes(self, kind: &str, is_norm: bool) -> &'static [&'static str] {
        match (self, kind, is_norm) {
            (Self::Fluid, "weight", true) => &["_scale"],
            (Self::Fluid, "weight", false) => &[".w_0"],
            (Self::Fluid, _, true) => &["_bias"],
            (Self::Fluid, _, false) => &[".b_0"],
            (Self::HuggingFace, "weight", true) => &[".weight", ".gamma"],
            (Self::HuggingFace, _, true) => &[".bias", ".beta"],
            (_, "weight", _) => &[".weight"],
            _ => &[".bias"],
        }
    }

    const fn column(self) -> Option<usize> {
        match self {
            Self::PaddleErnie => Some(0),
            Self::Fluid => Some(1),
            Self::PaddleNlp => Some(2),
            Self::HuggingFace => Some(3),
            Self::Canonical => None,
        }
    }
}

const FLUID_CLASSIFIERS: &[&str] =
    &["cls_out_w", "_cls_out_w", "cls_seq_label_out_w", "cls_mrc_out_w", "cls.w_0", "_cls.w_0"];
const FLUID_CLASSIFIER_BIASES: &[&str] =
    &["cls_out_b", "_cls_out_b", "cls_seq_label_out_b", "cls_mrc_out_b", "cls.b_0", "_cls.b_0"];
/// `PairwiseMatching` of PaddleNLP's examples for text matching has one score, and calls its layer so.
const PADDLENLP_CLASSIFIERS: &[&str] = &["classifier.weight", "similarity.weight"];
const PADDLENLP_CLASSIFIER_BIASES: &[&str] = &["classifier.bias", "similarity.bias"];
const TORCH_CLASSIFIERS: &[&str] = &["classifier.weight", "qa_outputs.weight"];
const TORCH_CLASSIFIER_BIASES: &[&str] = &["classifier.bias", "qa_outputs.bias"];

#[cfg(test)]
mod tests {
    use super::*;

    fn find(names: &[&str]) -> Result<Names, Untold> {
        Names::find(names.iter().copied())
    }

    #[test]
    fn a_scheme_is_known_by_its_word_embedding_and_first_layer() {
        let expect = |scheme, prefix: &str| Ok(Names { scheme, prefix: prefix.to_owned() });
        let torch = ["ernie.embeddings.word_embeddings.weight", "ernie.encoder.layer.0.output.dense.weight"];
        assert_eq!(find(&torch), expect(Scheme::HuggingFace, "ernie."));
        let paddle = ["encoder.embeddings.word_embeddings.weight", "encoder.encoder.layers.0.linear1.weight"];
        assert_eq!(find(&paddle), expect(Scheme::PaddleNlp, "encoder."));
        assert_eq!(find(&["word_emb.weight"]), expect(Scheme::PaddleErnie, ""));
        assert_eq!(find(&["my.net.word_emb.weight"]), expect(Scheme::PaddleErnie, "my.net."));
        assert_eq!(find(&["word_embedding"]), expect(Scheme::Fluid, ""));
        assert_eq!(find(&["embeddings.word"]), expect(Scheme::Canonical, ""));
        assert_eq!(find(&["linear_0.w_0"]), Err(Untold::NoEncoder));
        assert_eq!(
            find(&["a.word_emb.weight", "b.word_emb.weight"]),
            Err(Untold::Several(vec!["a.".into(), "b.".into()]))
        );
    }

    #[test]
    fn candidates_are_the_references_names() {
        let names = |scheme, prefix: &str| Names { scheme, prefix: prefix.to_owned() };
        let first = |n: &Names, canonical: &str| n.candidates(canonical)[0].clone();
        let torch = names(Scheme::HuggingFace, "ernie.");
        assert_eq!(first(&torch, "layer.3.query.bias"), "ernie.encoder.layer.3.attention.self.query.bias");
        assert!(
            torch
                .candidates("layer.0.ffn_norm.weight")
                .contains(&"ernie.encoder.layer.0.output.LayerNorm.gamma".into())
        );
        assert!(torch.candidates("classifier.weight").contains(&"qa_outputs.weight".into()));
        let fluid = names(Scheme::Fluid, "");
        assert_eq!(first(&fluid, "layer.11.ffn_norm.weight"), "encoder_layer_11_post_ffn_layer_norm_scale");
        assert_eq!(first(&fluid, "layer.0.attention_output.bias"), "encoder_layer_0_multi_head_att_output_fc.b_0");
        assert_eq!(first(&fluid, "embeddings.norm.bias"), "pre_encoder_layer_norm_bias");
        let seed = names(Scheme::PaddleErnie, "");
        assert_eq!(first(&seed, "layer.2.ffn_in.weight"), "encoder_stack.block.2.ffn.i.weight");
        assert_eq!(first(&names(Scheme::Canonical, ""), "layer.2.ffn_in.weight"), "layer.2.ffn_in.weight");
    }
}
