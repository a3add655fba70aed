use super::super::testing::numbers;
use super::*;
use proptest::prelude::*;

fn attend(
    set: InstructionSet,
    sizes: [usize; 3],
    texts: Texts<'_>,
    [q, k, v]: [&[f32]; 3],
    format: Format,
    n_threads: usize,
) -> Vec<f32> {
    let attention = TextAttention::new(set, sizes, texts, format, n_threads);
    let n_wanted = texts.wanted.map_or(q.len() / (sizes[0] * sizes[1]), <[i64]>::len);
    let mut mixed = vec![f32::NAN; n_wanted * sizes[0] * sizes[2]];
    let mut memory = vec![0_u8; attention.add_size(ScratchSize::default(), 1).n_bytes()];
    let room = attention.take_room(&mut Scratch::new(&mut memory)).unwrap();
    let heads = Heads {
        queries: Shared::constant(q),
        keys: Shared::constant(k),
        values: Shared::constant(v),
        mixed: Shared::new(&mut mixed),
    };
    for part in 0..attention.n_parts() {
        // SAFETY: one thread.
        unsafe { attention.run_part(&heads, part, &room) };
    }
    mixed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn tokens_see_their_own_text(
        lengths in proptest::collection::vec(0_usize..70, 1..5), n_heads in 1_usize..4, query_size in 1_usize..40,
        value_size in 1_usize..70, masking in 0..3, choosing in any::<bool>(),
    ) {
        let n: usize = lengths.iter().sum();
        let sizes = [n_heads, query_size, value_size];
        let (key_width, value_width) = (n_heads * query_size, n_heads * value_size);
        let (q, k, v) = (numbers(n * key_width, 1), numbers(n * key_width, 2), numbers(n * value_width, 3));
        let ends: Vec<i64> = lengths.iter().scan(0, |sum, n| { *sum += *n as i64; Some(*sum) }).collect();
        let mask: Vec<i64> = (0..n).map(|i| i64::from(i % 5 != 2)).collect();
        let some: Vec<i64> = (0..n as i64).filter(|i| i % 3 == 0).collect();
        let texts = Texts {
            ends: &ends, mask: (masking > 0).then_some(&mask), hides_queries: masking == 2, wanted: choosing.then_some(&some),
        };
        prop_assert!(texts.fits(n));
        let all: Vec<i64> = (0..n as i64).collect();
        for (set, format) in InstructionSet::all().into_iter().flat_map(|set| [(set, Format::F32), (set, Format::Int8)]) {
            let mixed = attend(set, sizes, texts, [&q, &k, &v], format, 1);
            prop_assert_eq!(&attend(set, sizes, texts, [&q, &k, &v], format, 64), &mixed);
            for (number, token) in texts.wanted.unwrap_or(&all).iter().enumerate() {
                let end = *ends.iter().find(|end| token < end).unwrap() as usize;
                let text = ends.iter().filter(|end| *end <= token).max().map_or(0, |end| *end as usize)..end;
                let token = *token as usize;
                for head in 0..n_heads {
                    let score = |other: usize| {
                        let at = |row: usize, i: usize| row * key_width + head * query_size + i;
                        let dot: f64 = (0..query_size).map(|i| f64::from(q[at(token, i)]) * f64::from(k[at(other, i)])).sum();
                        let hides_all = masking == 2 && mask[token] == 0;
                        let hidden = masking > 0 && (hides_all || mask[other] == 0);
                        dot / (query_size as f64).sqrt() - if hidden { 10000.0 } else { 0.0 }
                    };
                    let scores: Vec<f64> = text.clone().map(score).collect();
                    let most = scores.iter().copied().fold(f64::MIN, f64::max);
                    let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
                    let all: f64 = weights.iter().sum();
                    for i in 0..value_size {
                        let at = |row: usize| row * value_width + head * value_size + i;
                        let wanted: f64 = text.clone().zip(&weights).map(|(row, w)| w / all * f64::from(v[at(row)])).sum();
                        let given = f64::from(mixed[number * value_width + head * value_size + i]);
                        // Scores near -10000 have steps of a thousandth.
                        let allowed = if masking == 2 { 2e-3 } else { 1e-5 } + if format == Format::F32 { 0.0 } else { 5e-2 };
                        prop_assert!((given - wanted).abs() < allowed, "{set:?} {token} {head} {i}: {given}, not {wanted}");
                    }
                }
            }
            // The last text alone gives the same bits.
            let first = ends.len().checked_sub(2).map_or(0, |before| ends[before] as usize);
            if masking == 0 && !choosing {
                let alone = Texts { ends: &[(n - first) as i64], ..texts };
                let of = |all: &'_ [f32], width: usize| all[first * width..].to_vec();
                let (q, k, v) = (of(&q, key_width), of(&k, key_width), of(&v, value_width));
                prop_assert_eq!(&attend(set, sizes, alone, [&q, &k, &v], format, 1)[..], &mixed[first * value_width..]);
            }
        }
    }
}

#[test]
fn texts_that_are_not_there_do_not_fit() {
    let texts = Texts { ends: &[2, 5], mask: None, hides_queries: false, wanted: None };
    assert!(texts.fits(5) && !texts.fits(6) && !texts.fits(4));
    assert!(!Texts { ends: &[5, 2], ..texts }.fits(2) && !Texts { ends: &[-1, 5], ..texts }.fits(5));
    assert!(!Texts { mask: Some(&[1; 4]), ..texts }.fits(5));
    assert!(!Texts { wanted: Some(&[5]), ..texts }.fits(5) && !Texts { wanted: Some(&[3, 1]), ..texts }.fits(5));
    assert!(Texts { ends: &[], ..texts }.fits(0));
}
