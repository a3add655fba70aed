//! `include/ernie.h` is what cbindgen makes of the source. `ERNIE_BLESS=1` writes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::path::Path;

/// The header that the source gives now.
fn generate(root: &Path) -> String {
    let mut config = cbindgen::Config::from_file(root.join("include/cbindgen.toml")).expect("cbindgen.toml");
    config.after_includes = Some(format!("{}\n\n{}", version_macros(), initialisers()));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in [
        "status",
        "library",
        "input",
        "cancel",
        "call",
        "options",
        "tensor",
        "result",
        "tokens",
        "spans",
        "tokenizer",
        "model",
        "vectors",
        "generated",
        "generate",
        "asynchronous",
    ] {
        builder = builder.with_src(root.join(format!("src/capi/{file}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen").write(&mut text);
    String::from_utf8(text).expect("the header is UTF-8")
}

fn version_macros() -> String {
    let parts = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    let number: u32 = parts.iter().fold(0, |n, part| n * 100 + part.parse::<u32>().expect("a number"));
    format!(
        "\n#define ERNIE_VERSION_MAJOR {}\n#define ERNIE_VERSION_MINOR {}\n#define ERNIE_VERSION_PATCH {}\n\
         /* The version of this header; ernie_version() is that of the library. */\n\
         #define ERNIE_VERSION_NUMBER {number}\n#define ERNIE_VERSION_STRING \"{}\"",
        parts[0],
        parts[1],
        parts[2],
        env!("CARGO_PKG_VERSION")
    )
}

fn initialisers() -> String {
    "/* Initialisers: the struct's size, and the defaults: 0 for everything but what ernie_generation tells. */\n\
     #define ERNIE_CALL_INIT \\\n    \
     { sizeof(struct ernie_call), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, { NULL, 0 }, NULL }\n\
     #define ERNIE_MODEL_INFO_INIT { sizeof(struct ernie_model_info), 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0 }\n\
     #define ERNIE_MODEL_STATISTICS_INIT \\\n    \
     { sizeof(struct ernie_model_statistics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }\n\
     #define ERNIE_GENERATION_INIT \\\n    \
     { sizeof(struct ernie_generation), 0, 5, 1, 1.0f, 1.0f, 1.0f, 1.0f, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL, 0, NULL, 0, NULL, NULL }\n\
     #define ERNIE_TOKENIZER_INFO_INIT { sizeof(struct ernie_tokenizer_info), 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0 }\n\
     #define ERNIE_TOKENS_INIT \\\n    \
     { sizeof(struct ernie_tokens), 0, 0, NULL, NULL, NULL, NULL, NULL, 0, 0, { 0, 0 }, { 0, 0 }, 0, 0, 0 }"
        .to_owned()
}

/// What options there are stands in three places; this one is the easiest to forget.
#[test]
fn every_option_and_value_is_in_the_header() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(root.join("include/ernie.h")).expect("the header");
    let (_, options) = header.split_once("Sets one option").expect("ernie_options_set");
    let (options, _) = options.split_once("*/").expect("the end of its comment");
    for (key, values) in ernie::options::KEYS {
        assert!(options.contains(&format!("`{key}`")), "{key} is not in the comment of ernie_options_set");
        if values.contains(" or ") && !values.contains(';') && !values.contains(':') {
            for value in
                values.split([',', ' ']).filter(|word| !word.is_empty() && *word != "or" && !word.starts_with('('))
            {
                let told = options.contains(&format!("`{value}`")) || values.contains(&format!("({value}"));
                assert!(told || matches!(value, "as" | "stored)"), "{value} of {key}");
            }
        }
    }
}

/// A new file of `src/capi` is easily forgotten in the list above.
#[test]
fn every_exported_function_is_in_the_header() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(root.join("include/ernie.h")).expect("the header");
    for file in std::fs::read_dir(root.join("src/capi")).expect("src/capi") {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a source");
        let exported = text.split("extern \"C\" fn ").skip(1).filter_map(|rest| rest.split_once('('));
        for (name, _) in exported.filter(|(name, _)| name.starts_with("ernie_")) {
            assert!(header.contains(&format!("{name}(")), "{name} is not in include/ernie.h");
        }
    }
}

#[test]
fn the_header_is_what_the_source_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (path, fresh) = (root.join("include/ernie.h"), generate(root));
    if std::env::var_os("ERNIE_BLESS").is_some() {
        std::fs::write(&path, &fresh).expect("the header can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let line = stored.lines().zip(fresh.lines()).position(|(a, b)| a != b);
    assert!(stored == fresh, "include/ernie.h is stale (first difference in line {line:?}): run `make header`");
}
