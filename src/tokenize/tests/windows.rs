//! Truncation and windows: what is kept, what is told.

use super::*;

fn limit(max_tokens: usize, truncation: Truncation) -> EncodeOptions {
    EncodeOptions { max_tokens: Some(max_tokens), truncation, ..EncodeOptions::default() }
}

fn all() -> impl Iterator<Item = Scheme> {
    OWN.into_iter().chain(SENTENCEPIECE).chain([Scheme::TokenizerJson])
}

/// The content ids of a window's text (0) or pair (1).
fn content(encoding: &Encoding, sequence: u8) -> Vec<i64> {
    let of_it = encoding.input_ids.iter().zip(&encoding.sequence).filter(|(_, from)| **from == sequence);
    of_it.map(|(id, _)| *id).collect()
}

#[test]
fn each_rule_cuts_what_it_may_and_tells_it() {
    let (text, pair) = ("i i i i", "中国中国");
    for scheme in OWN.into_iter().chain([Scheme::TokenizerJson]) {
        let tokenizer = open(scheme);
        let cut = |truncation| {
            let encoding = tokenizer.encode(text, Some(pair), &limit(8, truncation)).unwrap();
            assert_eq!((encoding.len(), encoding.n_truncated_tokens()), (8, 3), "{}", scheme.name());
            let [first, second] = encoding.truncated;
            (first.n_tokens, &text[first.span.begin..first.span.end], &pair[second.span.begin..second.span.end])
        };
        assert_eq!(cut(Truncation::OnlyFirst), (3, "i i i", ""));
        assert_eq!(cut(Truncation::OnlySecond), (0, "", "国中国"));
        let (n_first, ..) = cut(Truncation::LongestFirst);
        let first_of_ties = matches!(scheme, Scheme::Bert(BertVariant::HfFast) | Scheme::TokenizerJson);
        assert_eq!(n_first, if first_of_ties { 2 } else { 1 }, "{}", scheme.name());
    }
}

#[test]
fn what_may_not_be_cut_and_does_not_fit_is_refused() {
    for scheme in all().filter(|scheme| *scheme != Scheme::ErnieTiny) {
        let tokenizer = open(scheme);
        for (text, pair, truncation) in [
            ("i", Some("中国中国中国"), Truncation::OnlyFirst),
            ("中国中国中国", Some("i"), Truncation::OnlySecond),
            ("中国中国中国", None, Truncation::OnlySecond),
            ("中国中国中国", Some("i"), Truncation::Windows),
            ("中国", Some("i"), Truncation::Error),
        ] {
            let max_tokens = if truncation == Truncation::Error { 4 } else { 5 };
            let mut out = Vec::new();
            let error = tokenizer.encode_windows(text, pair, &limit(max_tokens, truncation), &mut out).unwrap_err();
            assert!(matches!(error, Error::TextTooLong { .. }), "{} {truncation:?}: {error}", scheme.name());
            assert!(out.is_empty());
        }
        let error = tokenizer.encode("i", None, &limit(9, Truncation::Windows)).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)), "{error}");
        let still = EncodeOptions { doc_stride: Some(0), ..limit(9, Truncation::Windows) };
        let error = tokenizer.encode_windows("i", None, &still, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("doc_stride"), "{error}");
    }
}

#[test]
fn windows_are_those_of_the_reference() {
    // `doc_spans` of run_mrc: 10 tokens, windows of 4, moved by 3: 0..4, 3..7, 6..10.
    let tokenizer = open(Scheme::Ernie);
    let options = EncodeOptions { doc_stride: Some(3), ..limit(6 + 3, Truncation::Windows) };
    let mut out = Vec::new();
    tokenizer.encode_windows("i i", Some(&"中国".repeat(5)), &options, &mut out).unwrap();
    let spans: Vec<_> = out.iter().map(|window| window.fragment(4..8).unwrap().unwrap().1).collect();
    assert_eq!(spans.iter().map(|span| (span.begin / 3, span.end / 3)).collect::<Vec<_>>(), [(0, 4), (3, 7), (6, 10)]);
    assert!(out.iter().all(|window| content(window, 0) == [10, 10] && window.n_truncated_tokens() == 0));
}

#[test]
fn windows_overlap_by_half_unless_told_otherwise() {
    let mut out = Vec::new();
    open(Scheme::Ernie).encode_windows(&"中国".repeat(5), None, &limit(6, Truncation::Windows), &mut out).unwrap();
    assert_eq!(out.iter().map(|window| window.offsets[1].begin / 3).collect::<Vec<_>>(), [0, 2, 4, 6]);
}

#[test]
fn the_rule_of_the_seed_takes_no_other_beside_it() {
    let options = |truncation| EncodeOptions { seed_truncate_to: Some(4), truncation, ..EncodeOptions::default() };
    let tokenizer = open(Scheme::Ernie);
    assert_eq!(tokenizer.encode("i i i i i i", None, &options(Truncation::Truncate)).unwrap().len(), 6);
    for truncation in [Truncation::Error, Truncation::Windows, Truncation::OnlyFirst] {
        let mut out = Vec::new();
        let error = tokenizer.encode_windows("i", None, &options(truncation), &mut out).unwrap_err();
        assert!(error.to_string().contains("seed_truncate_to"), "{error}");
    }
}

#[test]
fn a_fragment_is_what_tokens_cover() {
    let encoding = open(Scheme::Ernie).encode("hello, worlds", Some("中国"), &EncodeOptions::default()).unwrap();
    // [CLS] hello , wor ##ld ##s [SEP] 中 国 [SEP]
    let fragment = |tokens| encoding.fragment(tokens).unwrap().map(|(sequence, span)| (sequence, span.begin, span.end));
    assert_eq!(fragment(3..6), Some((0, 7, 13)));
    assert_eq!(fragment(0..3), Some((0, 0, 6)));
    assert_eq!(fragment(6..10), Some((1, 0, 6)));
    assert_eq!(fragment(6..7), None);
    assert_eq!(fragment(4..4), None);
    for bad in [5..9, 4..11, 11..12] {
        assert!(matches!(encoding.fragment(bad), Err(Error::InvalidArgument(_))));
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a range that is none")]
    let backwards = 5..4;
    assert!(encoding.fragment(backwards).is_err());
}

/// One of each scheme, opened once.
static ALL: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| all().map(open).collect());

proptest! {
    #[test]
    fn windows_hold_every_token_once_or_more_and_never_too_many(
        text in text(),
        pair in prop::option::of(text()),
        n in 8..24_usize,
        doc_stride in 1..20_usize,
    ) {
        for tokenizer in &*ALL {
            let whole = tokenizer.encode(&text, pair.as_deref(), &EncodeOptions::default()).unwrap();
            let options = EncodeOptions { doc_stride: Some(doc_stride), ..limit(n, Truncation::Windows) };
            let mut windows = Vec::new();
            if tokenizer.encode_windows(&text, pair.as_deref(), &options, &mut windows).is_err() {
                // Only a text that leaves its pair no room.
                prop_assert!(pair.is_some() && whole.len() > n);
                continue;
            }
            let is_pair = whole.sequence.contains(&1);
            let (kept, windowed) = if is_pair { (0, 1) } else { (1, 0) };
            let mut covered: Vec<i64> = Vec::new();
            let all_of_it = content(&whole, windowed);
            for (index, window) in windows.iter().enumerate() {
                prop_assert!(window.len() <= n && window.len() <= whole.len());
                prop_assert_eq!((window.window, window.n_windows), (index, windows.len()));
                if is_pair {
                    prop_assert_eq!(content(window, kept), content(&whole, kept));
                }
                let part = content(window, windowed);
                let begin = if index + 1 == windows.len() { all_of_it.len() - part.len() } else { index * doc_stride.min(part.len()) };
                prop_assert_eq!(&part[..], &all_of_it[begin..begin + part.len()]);
                prop_assert!(begin <= covered.len(), "a gap");
                covered.truncate(begin);
                covered.extend(part);
            }
            prop_assert_eq!(covered, all_of_it);
            prop_assert_eq!(windows.len() == 1, whole.len() <= n);
        }
    }
}
