//! The gateway's configuration: whatever the file holds, it is read or refused with its place.
#![no_main]

use backstop_gateway::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let environment = |name: &str| (!name.is_empty()).then(|| name.to_lowercase());
    if let Err(error) = Config::parse("backstop.toml", text, &environment) {
        assert!(error.to_string().starts_with("backstop.toml"), "{error}");
    }
});
