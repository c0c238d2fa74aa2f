//! How long a circuit stays open.

use std::time::Duration;

use crate::InvalidPolicy;

/// How long a circuit stays open before it lets a probe through: always as long, or longer each
/// time that it opens again before it was closed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct OpenWait {
    base: Duration,
    cap: Duration,
    factor: f64,
    jitter: Jitter,
}

/// How an open wait is spread, so that clients that opened together don't probe together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// Between half of the wait and the whole of it.
    #[default]
    Equal,
    /// The wait as it is.
    None,
}

impl OpenWait {
    /// Always `wait`, less jitter.
    pub const fn fixed(wait: Duration) -> Self {
        Self {
            base: wait,
            cap: wait,
            factor: 1.0,
            jitter: Jitter::Equal,
        }
    }

    /// At first `base`, then twice as long each time up to `cap`, less jitter. A cap below the
    /// base counts as the base.
    pub const fn growing(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            factor: 2.0,
            jitter: Jitter::Equal,
        }
    }

    /// The same wait, growing by this factor in place of two.
    ///
    /// # Errors
    ///
    /// Where the factor is below one or no finite number.
    pub const fn factor(mut self, factor: f64) -> Result<Self, InvalidPolicy> {
        if factor >= 1.0 && factor.is_finite() {
            self.factor = factor;
            Ok(self)
        } else {
            Err(InvalidPolicy::new("a factor of at least one"))
        }
    }

    /// The same wait, spread like this.
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    pub(crate) const fn base(&self) -> Duration {
        self.base
    }

    pub(crate) fn compile(&self) -> Wait {
        let base = micros(self.base);
        Wait {
            base,
            cap: micros(self.cap).max(base),
            factor: self.factor,
        }
    }

    pub(crate) const fn spread(&self) -> Jitter {
        self.jitter
    }
}

/// Microseconds, the machine's unit of time.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// An open wait in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    base: u64,
    cap: u64,
    factor: f64,
}

impl Wait {
    /// The wait of the `attempt`th opening since the circuit was last closed, from 1 on.
    pub(crate) fn next(&self, attempt: u32, jitter: Jitter, rng: &mut fastrand::Rng) -> u64 {
        let steps = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        // A float cast saturates, so that an endless product is the cap.
        let wait = (self.base as f64 * self.factor.powi(steps)) as u64;
        let wait = wait.clamp(self.base.min(self.cap), self.cap);
        match jitter {
            Jitter::None => wait,
            Jitter::Equal => wait - rng.u64(0..=wait / 2),
        }
    }
}
