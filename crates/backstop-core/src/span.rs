//! A span of time in one word.

use std::{fmt, time::Duration};

/// A span of time, or none, in nanoseconds.
///
/// A `Duration` is twice as long. Errors, faults and limits are moved through every layer of a
/// stack, and a few words less in each are a good part of what a call costs.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Span(pub(crate) u64);

impl Span {
    pub(crate) const NONE: Self = Self(u64::MAX);
    /// Five centuries, for whatever is longer.
    const LONGEST: u64 = u64::MAX - 2;

    #[inline]
    pub(crate) const fn new(duration: Duration) -> Self {
        let nanos = duration.as_secs().saturating_mul(1_000_000_000);
        let nanos = nanos.saturating_add(duration.subsec_nanos() as u64);
        if nanos < Self::LONGEST {
            Self(nanos)
        } else {
            Self(Self::LONGEST)
        }
    }

    #[inline]
    pub(crate) const fn of(duration: Option<Duration>) -> Self {
        match duration {
            Some(duration) => Self::new(duration),
            None => Self::NONE,
        }
    }

    #[inline]
    pub(crate) const fn is_none(self) -> bool {
        self.0 == Self::NONE.0
    }

    #[inline]
    pub(crate) const fn get(self) -> Option<Duration> {
        if self.is_none() {
            None
        } else {
            Some(Duration::from_nanos(self.0))
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
