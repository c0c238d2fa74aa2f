//! The time of day, which some dialects want on an answer.

use std::time::{SystemTime, UNIX_EPOCH};

/// When an answer was made, in seconds since 1970: as its provider says, or else now.
#[expect(
    clippy::disallowed_methods,
    reason = "an answer tells the time of day; nothing is decided by it"
)]
pub(crate) fn made(told: Option<u64>) -> u64 {
    told.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    })
}
