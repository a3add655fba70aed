use super::super::testing::numbers;
use super::*;
use proptest::prelude::*;

fn attend_all(set: InstructionSet, work: &CachedAttention<'_>) -> Vec<f32> {
    let mut mixed = vec![f32::NAN; work.values.len()];
    for part in 0..work.cache.row_ends.len() * work.n_heads {
        // SAFETY: one thread.
        unsafe { work.run_part(set, part, Shared::new(&mut mixed)) };
    }
    mixed
}

/// The definition, in double precision.
fn naive(work: &CachedAttention<'_>) -> Vec<f64> {
    let mut all = Vec::new();
    let mut begin = 0;
    for (row, end) in work.cache.row_ends.iter().enumerate() {
        let entries = &work.cache.entries[begin..*end as usize];
        begin = *end as usize;
        for token in 0..2 {
            for head in 0..work.n_heads {
                let mut seen: Vec<(&[f32], &[f32])> =
                    entries.iter().map(|entry| work.entry(*entry, head, work.cache.n_entries())).collect();
                for own in 0..=token {
                    let key = (row * 2 + own) * work.key_width() + head * work.query_head_size;
                    let value = (row * 2 + own) * work.value_width() + head * work.value_head_size;
                    let key = &work.keys[key..key + work.query_head_size];
                    seen.push((key, &work.values[value..value + work.value_head_size]));
                }
                let query = (row * 2 + token) * work.key_width() + head * work.query_head_size;
                let query = &work.queries[query..query + work.query_head_size];
                let score = |key: &[f32]| {
                    let dot: f64 = query.iter().zip(key).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    (dot / (work.query_head_size as f64).sqrt()).exp()
                };
                let weights: Vec<f64> = seen.iter().map(|(key, _)| score(key)).collect();
                let sum: f64 = weights.iter().sum();
                for at in 0..work.value_head_size {
                    all.push(weights.iter().zip(&seen).map(|(w, (_, value))| w / sum * f64::from(value[at])).sum());
                }
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn tokens_see_their_entries_and_what_is_before_them(
        n_heads in 1_usize..4, query_head_size in 1_usize..40, value_head_size in 1_usize..40,
        rows in proptest::collection::vec(proptest::collection::vec(0_i64..9, 0..12), 1..5),
    ) {
        let (key_width, value_width) = (n_heads * query_head_size, n_heads * value_head_size);
        let (layer_begin, entry_size) = (3, 3 + key_width + value_width + 2);
        let n_rows = rows.len();
        let cache = numbers(9 * entry_size, 1);
        let (queries, keys, values) =
            (numbers(n_rows * 2 * key_width, 2), numbers(n_rows * 2 * key_width, 3), numbers(n_rows * 2 * value_width, 4));
        let entries: Vec<i64> = rows.concat();
        let row_ends: Vec<i64> = (1..=n_rows).map(|n| rows[..n].iter().map(Vec::len).sum::<usize>() as i64).collect();
        let work = CachedAttention {
            n_heads, query_head_size, value_head_size, queries: &queries, keys: &keys, values: &values,
            cache: Cache { numbers: &cache, entry_size, layer_begin, entries: &entries, row_ends: &row_ends },
        };
        prop_assert!(work.cache.fits(n_rows * 2, key_width + value_width));
        let wanted = naive(&work);
        // The naive order is token, head; that of the output too.
        for set in InstructionSet::all() {
            let output = attend_all(set, &work);
            for (at, (given, wanted)) in output.iter().zip(&wanted).enumerate() {
                prop_assert!((f64::from(*given) - wanted).abs() < 1e-5, "{set:?} {at}: {given}, not {wanted}");
            }
            // The first row alone gives the same bits.
            let alone = CachedAttention {
                queries: &queries[..2 * key_width], keys: &keys[..2 * key_width], values: &values[..2 * value_width],
                cache: Cache { entries: &rows[0], row_ends: &row_ends[..1], ..work.cache }, ..work
            };
            prop_assert_eq!(&attend_all(set, &alone)[..], &output[..2 * value_width]);
        }
    }

    #[test]
    fn tokens_of_the_run_are_seen_as_if_they_were_in_the_cache(
        n_heads in 1_usize..4, query_head_size in 1_usize..40, value_head_size in 1_usize..40,
        n_seen in 0_usize..9, n_rows in 1_usize..6,
    ) {
        let (key_width, value_width) = (n_heads * query_head_size, n_heads * value_head_size);
        let (layer_begin, entry_size) = (2, 2 + key_width + value_width);
        let cache = numbers(9 * entry_size, 1);
        let (queries, keys, values) =
            (numbers(n_rows * 2 * key_width, 2), numbers(n_rows * 2 * key_width, 3), numbers(n_rows * 2 * value_width, 4));
        // Each row sees some entries, and the first token of all rows before it.
        let (mut entries, mut row_ends) = (Vec::new(), Vec::new());
        for row in 0..n_rows {
            entries.extend((0..n_seen as i64).chain((0..row).map(|before| 9 + 2 * before as i64)));
            row_ends.push(entries.len() as i64);
        }
        let sizes = CachedAttention {
            n_heads, query_head_size, value_head_size, queries: &queries, keys: &keys, values: &values,
            cache: Cache { numbers: &cache, entry_size, layer_begin, entries: &entries, row_ends: &row_ends },
        };
        prop_assert!(sizes.cache.fits(n_rows * 2, key_width + value_width));
        for set in InstructionSet::all() {
            let together = attend_all(set, &sizes);
            let mut grown = cache.clone();
            for row in 0..n_rows {
                let tokens = |all: &'_ [f32], width: usize| all[row * 2 * width..(row + 1) * 2 * width].to_vec();
                let (queries, keys, values) = (tokens(&queries, key_width), tokens(&keys, key_width), tokens(&values, value_width));
                let entries: Vec<i64> = (0..n_seen as i64).chain(9..9 + row as i64).collect();
                let alone = CachedAttention {
                    queries: &queries, keys: &keys, values: &values,
                    cache: Cache { numbers: &grown, entries: &entries, row_ends: &[entries.len() as i64], ..sizes.cache }, ..sizes
                };
                prop_assert_eq!(&attend_all(set, &alone)[..], &together[row * 2 * value_width..(row + 1) * 2 * value_width]);
                grown.extend([0.0; 2]);
                grown.extend(&keys[..key_width]);
                grown.extend(&values[..value_width]);
            }
        }
    }
}

#[test]
fn entries_that_do_not_exist_are_refused() {
    let cache = Cache { numbers: &[0.0; 8], entry_size: 4, layer_begin: 0, entries: &[0, 1], row_ends: &[2] };
    assert!(cache.fits(2, 4) && !cache.fits(4, 4) && !cache.fits(2, 5));
    // Two are in the cache, two are the tokens of the run.
    assert!(
        Cache { entries: &[0, 3], ..cache }.fits(2, 4)
            && !Cache { entries: &[0, 4], ..cache }.fits(2, 4)
            && !Cache { entries: &[-1], row_ends: &[1], ..cache }.fits(2, 4)
    );
    assert!(!Cache { row_ends: &[3], ..cache }.fits(2, 4) && !Cache { layer_begin: 1, ..cache }.fits(2, 4));
    assert!(!Cache { row_ends: &[1, 0], ..cache }.fits(4, 4));
}
