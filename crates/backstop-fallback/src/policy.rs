use std::num::NonZeroU32;

use backstop_core::{
    BoxError, Classify, ErrorsAreTransient, Exhausted, Fault, FaultKind, FaultKinds, Verdict,
    context::{self, Entered},
};
use tokio::time::Instant;

/// The failures that the next candidate is asked after, unless told otherwise: whatever may be the
/// fault of this service, of our key or of our model's name, but not what is the caller's own.
///
/// A response that broke off after its first content ([`FaultKind::Interrupted`]) is not among
/// them: part of it has been seen already.
pub const FAIL_OVER: FaultKinds = FaultKinds::of(&[
    FaultKind::Connect,
    FaultKind::Denied,
    FaultKind::Malformed,
    FaultKind::Missing,
    FaultKind::Overloaded,
    FaultKind::QuotaExhausted,
    FaultKind::RateLimited,
    FaultKind::Refused,
    FaultKind::TimedOut,
    FaultKind::Unavailable,
]);

/// What befell a candidate that was given up because one that was asked at the same time answered
/// first: it is on the trail, because it may have been billed.
pub const OUTRUN: Fault = Fault::new(FaultKind::TimedOut).because("another was faster");

/// When to go on to the next candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy<C> {
    pub(crate) classify: C,
    pub(crate) on: FaultKinds,
    pub(crate) max_attempts: Option<NonZeroU32>,
}

impl Policy<ErrorsAreTransient> {
    pub(crate) const DEFAULT: Self = Self {
        classify: ErrorsAreTransient::new(),
        on: FAIL_OVER,
        max_attempts: None,
    };
}

impl<C> Policy<C> {
    pub(crate) fn classify<D>(self, classify: D) -> Policy<D> {
        Policy {
            classify,
            on: self.on,
            max_attempts: self.max_attempts,
        }
    }

    /// The fault, where the result is a failure.
    #[inline]
    pub(crate) fn fault<Res, E>(&self, result: &Result<Res, E>) -> Option<Fault>
    where
        C: Classify<Res, E>,
    {
        match self.classify.judge(result.as_ref()) {
            Verdict::Failure(fault) => Some(fault),
            _ => None,
        }
    }

    /// Why a service that failed to become ready is passed over.
    pub(crate) fn not_ready<Res, E>(&self, error: &E) -> Fault
    where
        C: Classify<Res, E>,
    {
        // No call has been made, so a fault that was left behind is of another one.
        let verdict = self.classify.classify(Err(error));
        context::clear_fault();
        match verdict {
            Verdict::Failure(fault) => fault,
            _ => NOT_READY,
        }
    }

    /// Bounds the attempts of what is called while the guard lives.
    #[inline]
    pub(crate) fn enter_bound(&self) -> Option<Entered<u32>> {
        self.max_attempts.map(context::enter_bound)
    }
}

/// A candidate that could not take the call at once.
pub(crate) const NOT_READY: Fault = Fault::new(FaultKind::Refused).because("not ready");

/// Whether the call may go on to another candidate at all.
pub(crate) fn time_is_left() -> bool {
    context::deadline().is_none_or(|deadline| !deadline.has_passed(Instant::now()))
}

/// Every candidate failed: the last with `error`, which was `fault`.
pub(crate) fn exhausted<E: From<Exhausted>>(mut fault: Fault, error: impl Into<BoxError>) -> E {
    let trail = context::trail();
    if let Some(soonest) = trail.retry_after() {
        fault = fault.with_retry_after(soonest);
    }
    context::leave_fault(fault);
    Exhausted::new(trail, fault, error.into()).into()
}
