//! How long to wait between attempts.

use std::{error::Error, fmt, time::Duration};

use crate::{Random, random::nanos};

/// The waits of one call, one after the other, before chance has its part in them. A call begins
/// with a clone of the one that the layer was given. Where the waits are at an end, so is the
/// retrying.
///
/// Any iterator of durations that can be cloned is one, whatever closure it is made of:
///
/// ```
/// use std::{iter, time::Duration};
/// use backstop_retry::RetryLayer;
///
/// let each_second = RetryLayer::new().backoff(iter::repeat(Duration::from_secs(1)));
/// let linear = (1..).map(|n| n * Duration::from_millis(100));
/// let linear = RetryLayer::new().backoff(linear);
/// let listed = [10, 100, 1000].map(Duration::from_millis);
/// let listed = RetryLayer::new().backoff(listed.into_iter());
/// ```
pub trait Backoff: Clone {
    /// The next wait.
    fn next_wait(&mut self, random: &mut Random) -> Option<Duration>;

    /// Whether chance is in the waits already, so that no jitter need be added.
    fn is_jittered(&self) -> bool {
        false
    }
}

impl<I> Backoff for I
where
    I: Iterator<Item = Duration> + Clone,
{
    fn next_wait(&mut self, _: &mut Random) -> Option<Duration> {
        self.next()
    }
}

/// Waits that double each time, up to a cap.
///
/// ```
/// use std::time::Duration;
/// use backstop_retry::Exponential;
///
/// # fn main() -> Result<(), backstop_retry::InvalidBackoff> {
/// let waits = Exponential::new(Duration::from_millis(50), Duration::from_millis(300))?;
/// let waits: Vec<_> = waits.take(4).map(|wait| wait.as_millis()).collect();
/// assert_eq!(waits, [50, 100, 200, 300]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exponential {
    // In nanoseconds.
    next: u64,
    cap: u64,
}

impl Exponential {
    /// From 50 ms to 20 s: what the AWS SDKs do.
    pub const DEFAULT: Self = Self {
        next: 50_000_000,
        cap: 20_000_000_000,
    };

    /// From 1 s to 20 s, after a service has said that it gets too many calls: what the AWS SDKs
    /// do.
    pub const THROTTLED: Self = Self {
        next: 1_000_000_000,
        cap: 20_000_000_000,
    };

    /// Waits from `base` to `cap`.
    ///
    /// # Errors
    ///
    /// A base of zero, or above the cap.
    pub fn new(base: Duration, cap: Duration) -> Result<Self, InvalidBackoff> {
        InvalidBackoff::check(base, cap)?;
        Ok(Self {
            next: nanos(base),
            cap: nanos(cap),
        })
    }

    fn advance(&mut self, doublings: u32) {
        let next = u128::from(self.next) << doublings.min(64);
        self.next = u64::try_from(next).unwrap_or(u64::MAX).min(self.cap);
    }
}

impl Default for Exponential {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Iterator for Exponential {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_nanos(self.next);
        self.advance(1);
        Some(wait)
    }

    fn nth(&mut self, n: usize) -> Option<Duration> {
        self.advance(u32::try_from(n).unwrap_or(u32::MAX));
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

/// Waits drawn between the base and three times the wait before, up to a cap. Chance is all there
/// is to them, so they take no further jitter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decorrelated {
    base: Duration,
    cap: Duration,
    last: Duration,
}

impl Decorrelated {
    /// Waits from `base` to `cap`.
    ///
    /// # Errors
    ///
    /// A base of zero, or above the cap.
    pub fn new(base: Duration, cap: Duration) -> Result<Self, InvalidBackoff> {
        InvalidBackoff::check(base, cap)?;
        Ok(Self {
            base,
            cap,
            last: base,
        })
    }
}

impl Backoff for Decorrelated {
    fn next_wait(&mut self, random: &mut Random) -> Option<Duration> {
        let high = self.last.saturating_mul(3);
        self.last = random.between(self.base, high).min(self.cap);
        Some(self.last)
    }

    fn is_jittered(&self) -> bool {
        true
    }
}

/// A backoff that would not wait, or would begin above its cap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidBackoff {
    base: Duration,
    cap: Duration,
}

impl InvalidBackoff {
    fn check(base: Duration, cap: Duration) -> Result<(), Self> {
        if base.is_zero() || base > cap {
            return Err(Self { base, cap });
        }
        Ok(())
    }
}

impl fmt::Display for InvalidBackoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, cap } = self;
        if base.is_zero() {
            f.write_str("a backoff with a base of zero would not wait")
        } else {
            write!(
                f,
                "a backoff with a base of {base:?} begins above its cap of {cap:?}"
            )
        }
    }
}

impl Error for InvalidBackoff {}
