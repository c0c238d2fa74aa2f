//! The errors that layers make themselves.
//!
//! They live here, and not with the layers that make them, so that a user's error type can take
//! all of them in by naming one crate. A layer asks for `S::Error: From<Elapsed>` and keeps the
//! service's error type: `BoxError` and `tonic::Status` have the conversions already, and an enum
//! of one's own stays exhaustive.

use std::{error::Error, fmt, time::Duration};

use crate::{Fault, FaultKind, Name, Trail, span::Span, trail::Rounded};

/// A boxed error, as tower has it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Which limit of time ran out.
// As wide as a word, for it is moved with words beside it, and bytes between them would be as well.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[repr(u64)]
pub enum Limit {
    /// Until the first item of the response's tail: a body's first frame, a stream's first event.
    FirstItem,
    /// Between two items of the response's tail.
    Idle,
    /// Until the service was ready to take the call.
    Readiness,
    /// Until the response.
    Response,
    /// The whole call, its tail included where that is watched.
    Total,
}

impl Limit {
    /// The limit in words fit for a message: `first item`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstItem => "first item",
            Self::Idle => "idle",
            Self::Readiness => "readiness",
            Self::Response => "response",
            Self::Total => "total",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A limit of time ran out. Made by the timeout layer.
#[derive(Clone, Debug)]
pub struct Elapsed {
    limit: Limit,
    after: Span,
    trail: Trail,
}

impl Elapsed {
    /// `limit` ran out `after` this long.
    #[must_use]
    pub const fn new(limit: Limit, after: Duration) -> Self {
        Self {
            limit,
            after: Span::new(after),
            trail: Trail::new(),
        }
    }

    /// The same error, with what had failed before.
    #[must_use]
    pub fn with_trail(mut self, trail: Trail) -> Self {
        self.trail = trail;
        self
    }

    /// Which limit it was.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// How long the call had then taken, from the start of that limit.
    #[must_use]
    pub const fn after(&self) -> Duration {
        Duration::from_nanos(self.after.0)
    }

    /// What had failed before it ran out.
    #[must_use]
    pub const fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The fault that this error is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::new(FaultKind::TimedOut)
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} limit reached after {}",
            self.limit,
            Rounded(self.after())
        )?;
        if !self.trail.is_empty() {
            write!(f, ", having tried: {}", self.trail)?;
        }
        Ok(())
    }
}

impl Error for Elapsed {}

/// Why a circuit breaker refuses a call.
// As wide as a word, because errors are moved in words: a processor waits for a byte that was written
// by itself and is then read with its neighbours.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[repr(u64)]
pub enum Reason {
    /// Some calls try it out already, and no more are let through.
    HalfOpen,
    /// The service asked to be left alone.
    HeldOff,
    /// A person has cut it off.
    Isolated,
    /// It has failed too often.
    Open,
}

impl Reason {
    /// Every reason, in the order in which they are declared.
    pub const ALL: [Self; 4] = [Self::HalfOpen, Self::HeldOff, Self::Isolated, Self::Open];

    /// In a word or two.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HalfOpen => "circuit half-open",
            Self::HeldOff => "held off",
            Self::Isolated => "isolated",
            Self::Open => "circuit open",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A circuit breaker refused the call. Made by the circuit breaker layer.
#[derive(Clone, Debug)]
pub struct Open {
    name: Name,
    retry_after: Span,
    reason: Reason,
}

impl Open {
    /// The circuit `name` refused because of `reason`.
    #[must_use]
    pub const fn new(name: Name, reason: Reason, retry_after: Option<Duration>) -> Self {
        Self {
            name,
            retry_after: Span::of(retry_after),
            reason,
        }
    }

    /// The circuit's name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Why it refused.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// When a call may be let through again, from now on; none where only a person can tell.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after.get()
    }

    /// The fault that this error is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::new(FaultKind::Refused)
            .because(self.reason.as_str())
            .with_span(self.retry_after)
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)?;
        match self.retry_after() {
            Some(wait) => write!(f, ", retry in {}", Rounded(wait)),
            None => Ok(()),
        }
    }
}

impl Error for Open {}

/// Every candidate failed. Made by the fallback layer.
///
/// It lists what was tried and holds the last error: [`last`](Self::last) offers that back typed,
/// and `source()` goes on into it.
#[derive(Debug)]
pub struct Exhausted {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    trail: Trail,
    fault: Fault,
    last: BoxError,
}

impl Exhausted {
    /// Every candidate on `trail` failed, the last one with `last`, classified as `fault`.
    ///
    /// Where `last` is an `Exhausted` itself, because the last candidate was a fallback of its
    /// own, its last error is taken over: the trail has all of it already.
    #[must_use]
    pub fn new(trail: Trail, fault: Fault, last: BoxError) -> Self {
        let last = match last.downcast::<Self>() {
            Ok(nested) => nested.inner.last,
            Err(last) => last,
        };
        Self {
            inner: Box::new(Inner { trail, fault, last }),
        }
    }

    /// What was tried.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.inner.trail
    }

    /// The last fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.inner.fault
    }

    /// The soonest that any candidate may be tried again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.trail.retry_after()
    }

    /// The last error, where it is an `E`.
    #[must_use]
    pub fn last<E: Error + 'static>(&self) -> Option<&E> {
        self.inner.last.downcast_ref()
    }

    /// The trail and the last error.
    #[must_use]
    pub fn into_parts(self) -> (Trail, BoxError) {
        (self.inner.trail, self.inner.last)
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.inner.trail.candidates() {
            0 => write!(f, "no candidate was left: {}", self.inner.last),
            1 => write!(f, "the only candidate failed: {}", self.inner.trail),
            n => write!(f, "all {n} candidates failed: {}", self.inner.trail),
        }
    }
}

impl Error for Exhausted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.inner.last)
    }
}
