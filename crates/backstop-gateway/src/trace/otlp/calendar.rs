//! The time of day at which a span was.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The time of day at one moment, from which that of others is counted: within a trace nothing ends
/// before it began, and each span is as long as it took, though the system's clock be set meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    at: Instant,
    unix_nanos: u128,
}

impl Calendar {
    #[expect(
        clippy::disallowed_methods,
        reason = "a span tells the time of day at which it was"
    )]
    pub(super) fn at(at: Instant) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            at,
            unix_nanos: since.map_or(0, |since| since.as_nanos()),
        }
    }

    pub(super) fn unix_nanos(&self, at: Instant) -> u128 {
        self.unix_nanos + at.saturating_duration_since(self.at).as_nanos()
    }
}
