//! Any bytes for `ernie::fuzz::torch_legacy`.

#![no_main]

use ernie::error::Error;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(Error::Internal(law)) = ernie::fuzz::torch_legacy(bytes) {
        panic!("{law}");
    }
});
