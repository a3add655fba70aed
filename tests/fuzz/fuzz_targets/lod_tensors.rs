//! Any bytes for `ernie::fuzz::lod_tensors`.

#![no_main]

use ernie::error::Error;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(Error::Internal(law)) = ernie::fuzz::lod_tensors(bytes) {
        panic!("{law}");
    }
});
