#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::transport_group::run(data));
