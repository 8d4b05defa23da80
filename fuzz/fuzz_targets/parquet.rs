#![no_main]

use std::sync::Once;

static QUIET: Once = Once::new();

// Panics of the reader that are turned into errors must not stop the search; others still do.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    engine_fuzz::parquet(bytes);
});
