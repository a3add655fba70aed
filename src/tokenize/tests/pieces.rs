//! The SentencePiece schemes, and what a slice of a text gives.

use super::*;

fn split(scheme: Scheme, text: &str) -> Vec<(String, String)> {
    let tokenizer = open(scheme);
    let encoding = tokenizer.encode(text, None, &bare(SpecialTokensInText::Recognize)).unwrap();
    let token = |(id, span): (&i64, &Span)| (tokenizer.token(*id).unwrap(), text[span.begin..span.end].to_owned());
    encoding.input_ids.iter().zip(&encoding.offsets).map(token).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(token, slice)| ((*token).to_owned(), (*slice).to_owned())).collect()
}

#[test]
fn tokens_cover_their_text_without_the_blank_before_it() {
    let [tiny, paddlenlp, hf] = SENTENCEPIECE;
    let text = " Hello  中国,12a ";
    let wanted = [("▁hello", "Hello"), ("▁中国", "中国"), ("▁", ""), (",", ","), ("▁", ""), ("12a", "12a")];
    assert_eq!(split(tiny, text), pairs(&wanted));
    let wanted = [("▁hello", "hello"), ("中", "中"), ("国", "国"), (",", ","), ("[UNK]", "12"), ("a", "a")];
    assert_eq!(split(paddlenlp, "hello 中国,12a"), pairs(&wanted));
    assert_eq!(split(paddlenlp, "He"), pairs(&[("[UNK]", "He")]));
    // A mark for a blank before a piece without one stays with Hugging Face.
    assert_eq!(split(paddlenlp, "hello ab"), pairs(&[("▁hello", "hello"), ("ab", "ab")]));
    assert_eq!(split(hf, "hello ab"), pairs(&[("▁hello", "hello"), ("▁", " "), ("ab", "ab")]));
}

#[test]
fn a_pair_of_ernie_m_has_two_separators_between() {
    for scheme in &SENTENCEPIECE[1..] {
        let encoding = open(*scheme).encode("hello", Some("hello"), &EncodeOptions::default()).unwrap();
        assert_eq!(encoding.input_ids[..1], [1]);
        assert_eq!(encoding.input_ids[2..4], [2, 2]);
        assert_eq!(encoding.token_type_ids, [0, 0, 1, 1, 1, 1]);
        assert_eq!(encoding.sequence, [255, 0, 255, 255, 1, 255]);
        let empty = open(*scheme).encode("hello", Some(""), &EncodeOptions::default()).unwrap();
        assert_eq!(empty.input_ids[2..], [2, 2, 2]);
    }
}

#[test]
fn special_tokens_in_texts_are_known_to_ernie_m_only() {
    let text = "hello [MASK] hello";
    let ids = |scheme, special| open(scheme).encode(text, None, &bare(special)).unwrap().input_ids;
    for scheme in &SENTENCEPIECE[1..] {
        assert_eq!(ids(*scheme, SpecialTokensInText::Recognize)[1], 3);
        assert!(!ids(*scheme, SpecialTokensInText::Plain).contains(&3));
    }
    assert!(!ids(SENTENCEPIECE[0], SpecialTokensInText::Recognize).contains(&3));
}

/// Where words end: a slice from one to another is cut as in the text.
fn words(tokenizer: &Tokenizer, encoding: &Encoding) -> Vec<std::ops::Range<usize>> {
    let mut words: Vec<std::ops::Range<usize>> = Vec::new();
    for index in 0..encoding.len() {
        let same_place = index > 0 && encoding.offsets[index].begin < encoding.offsets[index - 1].end;
        let goes_on = tokenizer.token(encoding.input_ids[index]).is_some_and(|token| token.starts_with("##"));
        match words.last_mut().filter(|_| goes_on || same_place) {
            Some(word) => word.end = index + 1,
            None => words.push(index..index + 1),
        }
    }
    words
}

proptest! {
    #[test]
    fn offsets_of_pieces_are_lawful_and_limits_hold(
        text in text(),
        pair in prop::option::of(text()),
        n in 4..20_usize,
        plain: bool,
    ) {
        static ALL: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
            let dir = model_dir();
            let both = SENTENCEPIECE.into_iter().flat_map(|scheme| [(scheme, true), (scheme, false)]);
            both.map(|(scheme, lowercase)| {
                let folder = dir.path().join(folder_of(scheme));
                let spec = TokenizerSpec { lowercase, ..TokenizerSpec::with_defaults(&folder, scheme) };
                Tokenizer::open(&spec).unwrap()
            })
            .collect()
        });
        for tokenizer in &*ALL {
            let special_tokens_in_text = if plain { SpecialTokensInText::Plain } else { SpecialTokensInText::Recognize };
            let options = EncodeOptions { special_tokens_in_text, ..EncodeOptions::default() };
            let whole = tokenizer.encode(&text, pair.as_deref(), &options).unwrap();
            assert_lawful_with(&whole, &text, pair.as_deref().unwrap_or_default(), true);
            let cut = tokenizer.encode(&text, pair.as_deref(), &EncodeOptions { max_tokens: Some(n), ..options }).unwrap();
            prop_assert!(cut.len() <= n);
            prop_assert_eq!(cut.n_truncated_tokens() == 0, whole.len() <= n);
        }
    }

    #[test]
    fn slices_of_words_give_the_same_ids(text in text(), cuts in (0..40_usize, 0..40_usize)) {
        for tokenizer in TOKENIZERS.iter().filter(|tokenizer| tokenizer.scheme() == Scheme::Ernie) {
            let whole = tokenizer.encode(&text, None, &bare(SpecialTokensInText::Plain)).unwrap();
            let words = words(tokenizer, &whole);
            if words.is_empty() {
                continue;
            }
            let (a, b) = (cuts.0 % words.len(), cuts.1 % words.len());
            let tokens = words[a.min(b)].start..words[a.max(b)].end;
            let Some((_, span)) = whole.fragment(tokens.clone()).unwrap() else { continue };
            let slice = tokenizer.encode(&text[span.begin..span.end], None, &bare(SpecialTokensInText::Plain)).unwrap();
            prop_assert_eq!(&slice.input_ids[..], &whole.input_ids[tokens]);
        }
    }
}
