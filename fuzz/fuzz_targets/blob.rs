//! Any bytes are refused, or run as they say. `tests::oracle` says what that means; it also gets
//! past the checksum, so that no mutator of our own is needed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    tests::oracle::check(bytes);
});
