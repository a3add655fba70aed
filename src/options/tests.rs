use super::*;

#[test]
fn an_unknown_key_is_refused_with_the_list_of_keys() {
    let error = Options::default().set("thread", "1").unwrap_err().to_string();
    assert!(error.contains("\"thread\"") && error.contains("threads") && error.contains("outputs"), "{error}");
}

#[test]
fn a_bad_value_is_refused_and_changes_nothing() {
    let mut options = Options::default();
    for (key, value) in [
        ("threads", "-1"),
        ("max_rows", "0"),
        ("max_queue", "-1"),
        ("max_wait_us", "10000001"),
        ("async_threads", "0"),
        ("provider", "gpu"),
        ("inputs", "a"),
        ("device_id", "-2"),
        ("device_id", "0,"),
        ("device_id", "0,1,0"),
        ("device_id", "1,-1"),
        ("graph", ""),
        ("graph", "../a.onnx"),
    ] {
        assert!(matches!(options.set(key, value), Err(Error::InvalidArgument(_))), "{key}={value}");
    }
    assert_eq!(options.max_rows, 32);
}

#[test]
fn every_listed_key_can_be_set() {
    let mut options = Options::default();
    for (key, value) in [
        ("provider", "cuda"),
        ("device_id", "1"),
        ("threads", "2"),
        ("spinning", "on"),
        ("prepacking", "off"),
        ("arena", "shrink"),
        ("profile", "/tmp/profile"),
        ("precision", "f16"),
        ("weights", "../a/ckpt.bin"),
        ("labels", "label_map.json"),
        ("average_layers", "4"),
        ("attention_mask", "all"),
        ("max_rows", "4"),
        ("max_batch_tokens", "99"),
        ("max_queue", "8"),
        ("max_wait_us", "200"),
        ("async_threads", "4"),
        ("max_tokens", "12"),
        ("truncation", "error"),
        ("doc_stride", "64"),
        ("seed_truncate_to", "64"),
        ("special_tokens", "plain"),
        ("tokenizer", "bert"),
        ("lowercase", "off"),
        ("mask_token", "none"),
        ("attention_token", "[ATTN]"),
        ("target_type_id", "1"),
        ("task", "tensors"),
        ("problem", "regression"),
        ("graph", "a.onnx"),
        ("inputs", "input_ids=x"),
        ("outputs", "logits=y"),
    ] {
        options.set(key, value).unwrap_or_else(|e| panic!("{key}: {e}"));
        assert!(KEYS.iter().any(|(k, _)| *k == key));
    }
    assert_eq!(options.inputs, [("input_ids".to_owned(), "x".to_owned())]);
    assert_eq!(options.max_tokens, Some(12));
}
