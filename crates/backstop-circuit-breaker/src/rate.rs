//! Shares of calls, and the calls that they are shares of.

use std::{error::Error, fmt, num::NonZeroU16, time::Duration};

/// A share of calls above zero and up to one, which is reached from exactly that share on.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// Half of the calls.
    pub const HALF: Self = Self(0.5);
    /// All of the calls.
    pub const ALL: Self = Self(1.0);

    /// The share of 0.5 for half of the calls.
    ///
    /// # Errors
    ///
    /// Where the share is not above zero and up to one.
    pub const fn new(share: f64) -> Result<Self, InvalidPolicy> {
        if share > 0.0 && share <= 1.0 {
            Ok(Self(share))
        } else {
            Err(InvalidPolicy::new("a rate above 0 and up to 1"))
        }
    }

    /// The share as a number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// Which calls a rate is taken over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window(pub(crate) Span);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Span {
    Calls(NonZeroU16),
    Time { length: Duration, buckets: u8 },
}

impl Window {
    /// How many buckets a time window has at most.
    pub const BUCKETS: usize = 10;

    /// The calls that ended in the last `length`, in ten buckets: the oldest tenth is forgotten at
    /// once. A window below 10 ms counts as 10 ms. Its memory is the same whatever its length and
    /// the number of calls.
    #[must_use]
    pub const fn time(length: Duration) -> Self {
        Self(Span::Time {
            length,
            buckets: Self::BUCKETS as u8,
        })
    }

    /// The same time window in fewer buckets: at least one, at most ten. A window over calls has
    /// none.
    #[must_use]
    pub const fn buckets(self, buckets: u8) -> Self {
        match self.0 {
            Span::Calls(_) => self,
            Span::Time { length, .. } => Self(Span::Time {
                length,
                buckets: match buckets {
                    0 => 1,
                    1..=10 => buckets,
                    _ => Self::BUCKETS as u8,
                },
            }),
        }
    }

    /// The last `calls` calls that ended. It takes two bits a call, and a short lock for each.
    #[must_use]
    pub const fn calls(calls: NonZeroU16) -> Self {
        Self(Span::Calls(calls))
    }
}

/// A number that makes no sense in a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidPolicy {
    wanted: &'static str,
}

impl InvalidPolicy {
    pub(crate) const fn new(wanted: &'static str) -> Self {
        Self { wanted }
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.wanted)
    }
}

impl Error for InvalidPolicy {}
