//! The way back from ids to text.

use super::*;

fn decoded(scheme: Scheme, text: &str, special: SpecialTokensInDecoded) -> String {
    let tokenizer = open(scheme);
    let ids = tokenizer.encode(text, None, &EncodeOptions::default()).unwrap().input_ids;
    tokenizer.decode(&ids, special).unwrap()
}

#[test]
fn each_scheme_joins_pieces_by_the_rule_of_its_reference() {
    use SpecialTokensInDecoded::{Keep, Skip};
    let text = "worlds, 中国 hello";
    for (scheme, skipped, kept) in [
        (Scheme::Ernie, "worlds,中国 hello", "[CLS] worlds,中国 hello[SEP]"),
        (Scheme::Bert(BertVariant::HfSlow), "worlds , 中 国 hello", "[CLS] worlds , 中 国 hello [SEP]"),
        (Scheme::Bert(BertVariant::PaddleNlp), "worlds, 中 国 hello", "[CLS] worlds, 中 国 hello [SEP]"),
        (Scheme::TokenizerJson, "worlds , 中 国 hello", "[CLS] worlds , 中 国 hello [SEP]"),
    ] {
        assert_eq!(decoded(scheme, text, Skip), skipped, "{}", scheme.name());
        assert_eq!(decoded(scheme, text, Keep), kept, "{}", scheme.name());
    }
    assert_eq!(decoded(SENTENCEPIECE[1], "hello, world", Skip), "hello, world");
    assert_eq!(decoded(SENTENCEPIECE[0], "hello world", Skip), "hello world");
}

#[test]
fn what_a_generator_wrote_ends_at_the_first_separator() {
    // [CLS] hello [UNK] wor ##ld [PAD] 中 ##ing [SEP] hello
    let ids = [1, 5, 4, 6, 7, 0, 14, 9, 2, 5];
    let decode = |scheme| open(scheme).decode(&ids, SpecialTokensInDecoded::Generated).unwrap();
    for scheme in OWN {
        assert_eq!(decode(scheme), "[CLS] hello  world 中ing", "{}", scheme.name());
    }
    assert_eq!(decode(Scheme::TokenizerJson), "[CLS] hello world 中ing");
    for scheme in OWN.into_iter().chain(SENTENCEPIECE) {
        assert_eq!(open(scheme).decode(&[2, 5, -1], SpecialTokensInDecoded::Generated).unwrap(), "");
    }
}

#[test]
fn a_bad_id_is_named() {
    for scheme in OWN.into_iter().chain(SENTENCEPIECE).chain([Scheme::TokenizerJson]) {
        let tokenizer = open(scheme);
        for bad in [-1, tokenizer.vocab_size() as i64, i64::MAX, i64::MIN] {
            let error = tokenizer.decode(&[1, bad], SpecialTokensInDecoded::Skip).unwrap_err().to_string();
            assert!(error.contains("ids[1]") && error.contains(&bad.to_string()), "{error}");
        }
    }
}
