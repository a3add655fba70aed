//! Any bytes for `ernie::fuzz::paddle_pickle`.

#![no_main]

use ernie::error::Error;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(Error::Internal(law)) = ernie::fuzz::paddle_pickle(bytes) {
        panic!("{law}");
    }
});
