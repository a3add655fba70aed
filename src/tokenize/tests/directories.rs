//! Which scheme a directory has, and what is refused.

use super::*;
use std::path::Path;

fn scheme_of(files: &[(&str, &str)]) -> Result<Scheme> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    TokenizerSpec::from_dir(dir.path(), None).map(|spec| spec.scheme)
}

#[test]
fn files_tell_the_scheme() {
    let vocab = ("vocab.txt", "a");
    let class = |name: &str| format!("{{\"tokenizer_class\": \"{name}\"}}");
    let found = |name: &str, text: &str| scheme_of(&[vocab, (name, text)]).unwrap().name();
    assert_eq!(found("ernie_config.json", "{}"), "ernie");
    assert_eq!(found("tokenizer.json", "{}"), "tokenizer.json");
    assert_eq!(found("tokenizer_config.json", &class("ErnieTokenizer")), "bert-paddlenlp");
    assert_eq!(found("config.json", "{\"paddlenlp_version\": null}"), "bert-paddlenlp");
    assert_eq!(found("model_config.json", "{\"init_class\": \"ErnieModel\"}"), "bert-paddlenlp");
    assert_eq!(found("tokenizer_config.json", &class("BertTokenizer")), "bert");
    assert_eq!(found("config.json", "{\"model_type\": \"ernie\"}"), "bert");
    assert_eq!(found("tokenizer_config.json", &class("BertTokenizerFast")), "bert-fast");
    assert_eq!(found("sentencepiece.bpe.model", ""), "ernie-m");
    assert_eq!(found("subword/spm_cased_simp_sampled.model", ""), "ernie-tiny");
    let all = |files: &[(&str, &str)]| scheme_of(&[&[vocab, ("sentencepiece.bpe.model", "")], files].concat()).unwrap();
    let class = class("ErnieMTokenizer");
    assert_eq!(all(&[("tokenizer_config.json", &class), ("tokenizer.json", "{}")]).name(), "ernie-m");
    assert_eq!(all(&[("tokenizer.json", "{}")]).name(), "tokenizer.json");
    assert_eq!(
        all(&[("config.json", "{\"model_type\": \"ernie_m\", \"transformers_version\": \"4\"}")]).name(),
        "ernie-m-hf"
    );
    assert_eq!(all(&[("config.json", "{\"paddlenlp_version\": null}"), ("pytorch_model.bin", "")]).name(), "ernie-m");
}

#[test]
fn what_cannot_be_told_is_refused() {
    let vocab = ("vocab.txt", "a");
    let untold = scheme_of(&[vocab]).unwrap_err();
    assert!(matches!(&untold, Error::Unsupported(reason) if reason.contains("option tokenizer")), "{untold}");
    assert!(matches!(scheme_of(&[]), Err(Error::NotFound { .. })));
    assert!(matches!(TokenizerSpec::from_dir(Path::new("/no/such"), None), Err(Error::NotFound { .. })));
    assert!(matches!(scheme_of(&[("ernie_config.json", "{}")]), Err(Error::NotFound { .. })));
    let no_model = scheme_of(&[vocab, ("config.json", "{\"model_type\": \"ernie_m\"}")]).unwrap_err();
    assert!(
        matches!(&no_model, Error::NotFound { path, .. } if path.ends_with("sentencepiece.bpe.model")),
        "{no_model}"
    );
    for (file, text, name) in [
        ("dict.wordseg.pickle", "", "dict.wordseg.pickle"),
        ("tokenizer_config.json", "{\"tokenizer_class\": \"ErnieTinyTokenizer\"}", "jieba"),
        ("tokenizer_config.json", "{\"tokenizer_class\": \"RobertaTokenizer\"}", "RobertaTokenizer"),
    ] {
        let error = scheme_of(&[vocab, (file, text)]).unwrap_err();
        assert!(matches!(&error, Error::Unsupported(message) if message.contains(name)), "{error}");
    }
    let error = scheme_of(&[vocab, ("config.json", "{\n \"a\": }")]).unwrap_err();
    assert!(error.report().contains("line 2 column"), "{}", error.report());
    let error = Scheme::parse("bort").unwrap_err();
    assert!(Scheme::ALL.iter().all(|scheme| error.to_string().contains(scheme.name())), "{error}");
}

#[test]
fn vocabularies_without_special_tokens_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vocab.txt"), "[PAD]\n[CLS]\n[UNK]\n").unwrap();
    for scheme in OWN {
        let error = Tokenizer::open(&TokenizerSpec::with_defaults(dir.path(), scheme)).unwrap_err();
        assert!(matches!(&error, Error::InvalidModel { reason, .. } if reason.contains("[SEP]")), "{error}");
    }
}
