//! What a service says about trying again.

use std::time::Duration;

use crate::Fault;

#[cfg(feature = "http")]
mod date;
mod duration;
#[cfg(feature = "http")]
mod headers;

/// The longest wait that a hint can name: thirty years. A service that asks for more is understood
/// all the same, and no arithmetic on what it asked for overflows.
const FOREVER: Duration = Duration::from_secs(86_400 * 365 * 30);

/// What a service said about trying again: when, and whether at all.
///
/// Whatever the words are, reading them never panics, and words that can't be understood never
/// mean "at once": a wait that is there but unreadable forbids the retry, one that is absurdly
/// long counts as thirty years. A wait of nothing, or until a date that has passed, is no hint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct RetryHint {
    after: Option<Duration>,
    should_retry: Option<bool>,
}

impl RetryHint {
    /// The service asks not to be tried again.
    const NO: Self = Self {
        after: None,
        should_retry: Some(false),
    };

    /// How long to wait, from the response on. Never zero.
    #[must_use]
    pub const fn after(&self) -> Option<Duration> {
        self.after
    }

    /// The service's outright word. It is `false` too where the service named a wait that can't be
    /// understood.
    #[must_use]
    pub const fn should_retry(&self) -> Option<bool> {
        self.should_retry
    }

    /// The same fault, with this hint on it.
    #[must_use]
    pub const fn apply(self, mut fault: Fault) -> Fault {
        if let Some(wait) = self.after {
            fault = fault.with_retry_after(wait);
        }
        if let Some(should) = self.should_retry {
            fault = fault.with_should_retry(should);
        }
        fault
    }

    /// This hint, and from `other` what this one leaves open: where a body says what the headers
    /// don't, say.
    pub fn or(self, other: Self) -> Self {
        Self {
            after: self.after.or(other.after),
            should_retry: self.should_retry.or(other.should_retry),
        }
    }

    /// Reads a delay with its unit, as Google's APIs write it in the body of an error:
    /// `48.939935699s`, `6m0s`, `250ms`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_core::RetryHint;
    ///
    /// let hint = RetryHint::from_delay("1.5s");
    /// assert_eq!(hint.after(), Some(Duration::from_millis(1500)));
    /// assert_eq!(RetryHint::from_delay("soon").should_retry(), Some(false));
    /// ```
    pub fn from_delay(text: &str) -> Self {
        duration::with_units(text.trim_ascii()).into()
    }
}

/// A wait that was named: none where it could not be understood.
impl From<Option<Duration>> for RetryHint {
    fn from(read: Option<Duration>) -> Self {
        match read {
            Some(wait) if wait.is_zero() => Self::default(),
            Some(wait) => Self {
                after: Some(wait.min(FOREVER)),
                should_retry: None,
            },
            None => Self::NO,
        }
    }
}
