//! Any bytes for `ernie::fuzz::schema`.

#![no_main]

use ernie::error::Error;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(Error::Internal(law)) = ernie::fuzz::schema(bytes) {
        panic!("{law}");
    }
});
