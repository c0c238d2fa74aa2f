//! Callers' requests: read by every front, and what was read written for every provider.
#![no_main]

use backstop_llm::{Abilities, ChatRequest, Dialect, Needs, plan::Plan};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// What was written must be what the dialect itself can read.
fn write(request: &ChatRequest, dialect: Dialect, lost: Needs) {
    let abilities = Abilities::of(dialect, &request.chat().model);
    let Ok(plan) = Plan::new(request, dialect, &abilities, lost) else {
        return;
    };
    let Ok(encoded) = dialect.wire().encode(request, &plan) else {
        return;
    };
    if dialect.front().dialect() == dialect {
        let _ = dialect.front().parse(encoded.body);
    }
}

fuzz_target!(|data: &[u8]| {
    for front in Dialect::ALL.map(Dialect::front) {
        match front.parse(Bytes::copy_from_slice(data)) {
            Ok(request) => {
                for dialect in Dialect::ALL {
                    write(&request, dialect, Needs::default());
                    write(&request, dialect, Needs::ALL);
                }
            }
            Err(error) => assert!(!front.error(&error).is_empty()),
        }
    }
});
