//! Any text for the tokenizers of `tests/fixtures`, two bytes before it saying how: `ernie::fuzz::tokenize`.

#![no_main]

use ernie::error::Error;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(Error::Internal(law)) = ernie::fuzz::tokenize(bytes) {
        panic!("{law}");
    }
});
