//! One instant by which the whole call must be over.

use std::time::Duration;

use tokio::time::Instant;

use crate::span::Span;

/// The instant by which a whole call, its waits included, must be over.
///
/// The timeout layer sets it in the call's context; every layer further in reads it from there.
/// Put one into a request's extensions to hand a deadline in from outside.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Deadline(Instant);

/// How far ahead, in nanoseconds, a deadline is placed that would overflow the clock: thirty years,
/// the farthest that tokio's timer looks.
const FAR: u64 = 1_000_000_000 * 86_400 * 365 * 30;

impl Deadline {
    /// The deadline at this instant.
    #[inline]
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The deadline `limit` after `now`. An absurd limit counts as thirty years.
    #[inline]
    #[must_use]
    pub fn after(now: Instant, limit: Duration) -> Self {
        Self::within(now, Span::new(limit))
    }

    #[inline]
    pub(crate) fn within(now: Instant, limit: Span) -> Self {
        Self(now + Duration::from_nanos(limit.0.min(FAR)))
    }

    /// The instant itself.
    #[inline]
    #[must_use]
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// What is left at `now`; zero once it has passed.
    #[inline]
    #[must_use]
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has come at `now`.
    #[inline]
    #[must_use]
    pub fn has_passed(self, now: Instant) -> bool {
        now >= self.0
    }
}
