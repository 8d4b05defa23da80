#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine_fuzz::stats_json(bytes));
