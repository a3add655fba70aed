//! Odd texts through every task: whatever they find lies in the text, on characters, and nothing else happens.

use std::sync::Arc;

use ernie::pipeline::{Call, Input, Item, Schema, Tags};
use ernie::tokenize::Truncation;

use crate::{open, pair, text};

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\0",
        "\u{2}",
        "\u{2}\u{2}",
        "e\u{301}e\u{301}",
        "\u{301}",
        "👨‍👩‍👧‍👦家庭🇨🇳",
        "[MASK]",
        "[MASK][MASK]",
        "[PAD]今[CLS]天[SEP]",
        "ＡＢＣ１２３，！",
        "\u{feff}今\u{200b}天\u{2028}",
        "İstanbul ǅ ﬁ ½",
        "\u{10ffff}\u{e000}\u{fffd}",
        "good\u{0}hotel",
        "##s ##ing",
        "\r\n\t",
        "กขค ঀ",
        "今\u{2}good hotels\u{2}\u{301}\u{2}",
        "a\u{2}[MASK]\u{2}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend(["今天[MASK]", "e\u{301}", "👍🏽", "good ", "\u{2}", "[UNK]", "。\n"].map(|part| part.repeat(60)));
    texts
}

/// Places are those of the text that the item names; what was found is what stands there.
fn check(item: &Item, input: &Input<'_>) {
    let source = if item.sequence == 1 { input.pair.unwrap() } else { input.text };
    let found = source.get(item.begin..item.end).unwrap_or_else(|| panic!("{item:?} is not in {source:?}"));
    assert!(item.score.is_finite(), "{item:?}");
    let is_found = [found.to_owned(), found.replace('\u{2}', "")].contains(&item.text);
    assert!(item.begin == item.end || is_found || item.text.is_empty() || found == "[MASK]", "{item:?} is {found:?}");
}

/// A fixture with its options, and what it is asked.
type Asked<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [Input<'a>], &'a Call);

#[test]
fn odd_texts_are_answered_or_named() {
    let texts = texts();
    let singles: Vec<Input<'_>> = texts.iter().map(|t| text(t)).collect();
    let pairs: Vec<Input<'_>> = texts.iter().rev().zip(&texts).map(|(a, b)| pair(a, b)).collect();
    let windows = Call { truncation: Some(Truncation::Windows), ..Call::default() };
    let schema = Schema::parse(r#"["人", {"[MASK]": "书\u0000"}]"#).unwrap();
    let schema = Call { schema: Some(Arc::new(schema)), threshold: Some(0.2), ..Call::default() };
    let words = Call { tags: Tags::Words, ..windows.clone() };
    let candidates = Call { candidates: vec!["好".into(), "北京".into()], ..windows.clone() };
    let asked: [Asked<'_>; 9] = [
        ("paddle_ernie_ner", &[], &singles, &words),
        ("paddlenlp_safetensors_tokcls", &[], &singles, &windows),
        ("hf_tokcls_sharded", &[], &singles, &windows),
        ("paddle_ernie_mrc", &[("task", "question_answering")], &pairs, &Call::default()),
        ("hf_qa_bf16", &[], &pairs, &Call::default()),
        ("paddle_ernie_pretraining", &[], &singles, &candidates),
        ("paddlenlp_mlm", &[], &pairs, &windows),
        ("paddlenlp_uie", &[], &singles, &schema),
        ("paddlenlp_uie", &[], &pairs, &Call::default()),
    ];
    for (name, options, inputs, call) in asked {
        let model = open(name, options);
        let output = model.infer_each(inputs.iter().copied().map(Ok).collect(), call).unwrap();
        let mut n_answered = 0;
        for (index, input) in inputs.iter().enumerate() {
            match &output.errors[index] {
                Some(error) => assert!(error.to_string().starts_with(&format!("input {index}: ")), "{name}: {error}"),
                None => {
                    n_answered += 1;
                    output.items[index].iter().for_each(|item| check(item, input));
                    let alone = model.infer(&[*input], call).unwrap();
                    assert_eq!(alone.items[0], output.items[index], "{name}: {input:?}");
                }
            }
        }
        assert!(n_answered >= 4, "{name}: {n_answered} of {}", inputs.len());
    }
}
