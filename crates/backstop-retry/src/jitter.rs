use std::time::Duration;

use crate::Random;

/// How much of a wait is left to chance, so that callers who failed together don't come back
/// together. Chance only ever shortens a wait: the cap of the backoff holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// From half of the wait up to all of it.
    Equal,
    /// From next to nothing up to all of the wait: the best spread, and the least work in all.
    #[default]
    Full,
    /// Nothing is.
    None,
}

impl Jitter {
    /// A wait with chance in it: above zero, where `wait` is, and no longer than `wait`.
    #[must_use]
    pub fn spread(self, wait: Duration, random: &mut Random) -> Duration {
        match self {
            Self::Equal => random.between(wait / 2, wait),
            Self::Full => random.up_to(wait),
            Self::None => wait,
        }
    }

    /// The jitter after a service has said that it gets too many calls: those that come back at
    /// once would find it no better.
    pub(crate) const fn throttled(self) -> Self {
        match self {
            Self::Full => Self::Equal,
            other => other,
        }
    }
}
