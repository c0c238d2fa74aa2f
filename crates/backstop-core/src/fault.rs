//! What went wrong, in the few words that all layers share.

use std::{fmt, time::Duration};

use crate::span::Span;

/// What kind of failure a call met.
///
/// The kinds are few on purpose: a layer decides by kind whether to retry, to fail over, or to
/// count the failure against a service. Everything finer stays on the error itself.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u8)]
pub enum FaultKind {
    /// No connection: refused, DNS, TLS, or reset before any response.
    Connect,
    /// Our credential was not accepted: 401, 403.
    Denied,
    /// The content was refused by a filter.
    Filtered,
    /// The response broke off, stalled or brought an error after its first content.
    Interrupted,
    /// The request itself is wrong: 400, 422 and the other 4xx.
    Invalid,
    /// The response could not be understood: wrong type, unparsable, empty.
    Malformed,
    /// What was asked for is not there: 404, a model that is gone or renamed.
    Missing,
    /// The service says that it is overloaded: 529, `overloaded_error`.
    Overloaded,
    /// The account has nothing left: 402, `insufficient_quota`.
    QuotaExhausted,
    /// Too many requests for now: 429.
    RateLimited,
    /// Refused here, without a call: circuit open, held off, not ready, no budget, no time left.
    Refused,
    /// A limit of time ran out: response, first item, idle; 408.
    TimedOut,
    /// The request is too large for this service: 413, context length exceeded.
    TooLarge,
    /// The service failed or is not there just now: 500, 502, 503, 504, 409, 425.
    Unavailable,
}

impl FaultKind {
    /// Every kind, in alphabetical order.
    pub const ALL: [Self; 14] = [
        Self::Connect,
        Self::Denied,
        Self::Filtered,
        Self::Interrupted,
        Self::Invalid,
        Self::Malformed,
        Self::Missing,
        Self::Overloaded,
        Self::QuotaExhausted,
        Self::RateLimited,
        Self::Refused,
        Self::TimedOut,
        Self::TooLarge,
        Self::Unavailable,
    ];

    /// The kind in words fit for a log line: `timed out`, `rate limited`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Denied => "denied",
            Self::Filtered => "filtered",
            Self::Interrupted => "interrupted",
            Self::Invalid => "invalid request",
            Self::Malformed => "malformed response",
            Self::Missing => "not found",
            Self::Overloaded => "overloaded",
            Self::QuotaExhausted => "quota exhausted",
            Self::RateLimited => "rate limited",
            Self::Refused => "refused",
            Self::TimedOut => "timed out",
            Self::TooLarge => "too large",
            Self::Unavailable => "unavailable",
        }
    }

    /// The kind as one lower-case token, fit for a metric label: `timed_out`, `rate_limited`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Denied => "denied",
            Self::Filtered => "filtered",
            Self::Interrupted => "interrupted",
            Self::Invalid => "invalid",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::Overloaded => "overloaded",
            Self::QuotaExhausted => "quota_exhausted",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of [`FaultKind`]s, made at compile time.
///
/// ```
/// use backstop_core::{FaultKind, FaultKinds};
///
/// const ON: FaultKinds = FaultKinds::of(&[FaultKind::Connect, FaultKind::Unavailable]);
/// assert!(ON.contains(FaultKind::Connect));
/// assert!(!ON.without(FaultKind::Connect).contains(FaultKind::Connect));
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct FaultKinds(u16);

impl FaultKinds {
    /// No kind at all.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self::of(&FaultKind::ALL);
    /// The kinds by which a service says that it gets too many calls.
    pub const THROTTLED: Self = Self::of(&[FaultKind::Overloaded, FaultKind::RateLimited]);

    /// The set of exactly these kinds.
    #[must_use]
    pub const fn of(kinds: &[FaultKind]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u16;
            i += 1;
        }
        Self(bits)
    }

    /// This set and `kind`.
    #[must_use]
    pub const fn with(self, kind: FaultKind) -> Self {
        Self(self.0 | 1 << kind as u16)
    }

    /// This set less `kind`.
    #[must_use]
    pub const fn without(self, kind: FaultKind) -> Self {
        Self(self.0 & !(1 << kind as u16))
    }

    /// Whether `kind` is in this set.
    #[must_use]
    pub const fn contains(self, kind: FaultKind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    /// The kinds of this set, in alphabetical order.
    pub fn iter(self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

impl fmt::Debug for FaultKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<FaultKind> for FaultKinds {
    fn from_iter<I: IntoIterator<Item = FaultKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

/// One failure, as the layers see it: its kind, and what the service said about trying again.
///
/// It is small and `Copy`; the error or response that it was read from carries the rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    kind: FaultKind,
    status: Option<u16>,
    should_retry: Option<bool>,
    retry_after: Span,
    reason: Option<&'static str>,
}

impl Fault {
    /// A failure of this kind, with nothing more known.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            status: None,
            should_retry: None,
            retry_after: Span::NONE,
            reason: None,
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The status that the service answered with, an HTTP or a gRPC code, where there was one.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }

    /// How long the service asked to be left alone, from now on.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after.get()
    }

    /// What the service said outright about trying again (`x-should-retry`, gRPC pushback).
    #[must_use]
    pub const fn should_retry(&self) -> Option<bool> {
        self.should_retry
    }

    /// A few words on why, where the kind alone does not say it: `circuit open`.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// The same failure, answered with this status.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same failure, to be tried again only after `wait`.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Span::new(wait);
        self
    }

    /// The same fault, of a service that asked for this wait, or for none.
    #[inline]
    pub(crate) const fn with_span(mut self, wait: Span) -> Self {
        self.retry_after = wait;
        self
    }

    /// The same failure, with the service's own word on trying again.
    #[must_use]
    pub const fn with_should_retry(mut self, should: bool) -> Self {
        self.should_retry = Some(should);
        self
    }

    /// The same failure, and why: a lower-case fragment such as `circuit open`.
    #[must_use]
    pub const fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        f.write_str(self.reason.unwrap_or_else(|| self.kind.as_str()))
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self::new(kind)
    }
}
