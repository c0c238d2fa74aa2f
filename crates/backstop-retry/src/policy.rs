use std::{num::NonZeroU32, sync::Arc, time::Duration};

use backstop_core::{Budget, ErrorsAreTransient, Fault, FaultKind, FaultKinds, context};
use tokio::time::Instant;

use crate::{ByClone, Exponential, Jitter, random::Seed};

/// The failures that are tried again on the same service, unless told otherwise: those that may
/// well be over in a moment, and cost nothing. An attempt that timed out is not among them: the
/// work may have been done, and billed.
pub const RETRY: FaultKinds = FaultKinds::of(&[
    FaultKind::Connect,
    FaultKind::Malformed,
    FaultKind::Overloaded,
    FaultKind::Unavailable,
]);

/// The failures that are tried again only where the service said when, and only where no other
/// candidate is ready to be asked instead.
pub const RETRY_ON_HINT: FaultKinds = FaultKinds::of(&[FaultKind::RateLimited]);

/// These kinds without those that are never tried again: the service was not even asked, or part
/// of its answer has been seen already.
pub(crate) const fn triable(kinds: FaultKinds) -> FaultKinds {
    kinds
        .without(FaultKind::Interrupted)
        .without(FaultKind::Refused)
}

/// What a layer was told. Its services and their calls share it, so that a call which succeeds at
/// once carries a single word for what it doesn't need.
#[derive(Clone, Debug)]
pub(crate) struct Policy<C, B, R> {
    pub(crate) classify: C,
    pub(crate) backoff: B,
    pub(crate) requests: R,
    pub(crate) rules: Rules,
}

/// What of a policy is the same for services of every type.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) attempts: NonZeroU32,
    pub(crate) throttled: Exponential,
    pub(crate) jitter: Jitter,
    pub(crate) on: FaultKinds,
    pub(crate) on_hint: FaultKinds,
    pub(crate) retry_after_cap: Duration,
    pub(crate) min_useful: Duration,
    pub(crate) budget: Option<Budget>,
    pub(crate) seed: Option<Arc<Seed>>,
}

impl Policy<ErrorsAreTransient, Exponential, ByClone> {
    pub(crate) const DEFAULT: Self = Self {
        classify: ErrorsAreTransient::new(),
        backoff: Exponential::DEFAULT,
        requests: ByClone,
        rules: Rules {
            attempts: NonZeroU32::new(3).expect("three is not zero"),
            throttled: Exponential::THROTTLED,
            jitter: Jitter::Full,
            on: RETRY,
            on_hint: RETRY_ON_HINT,
            retry_after_cap: Duration::from_secs(60),
            min_useful: Duration::from_millis(10),
            budget: None,
            seed: None,
        },
    };
}

impl Rules {
    /// Whether a failure is to be tried again at all, after that many attempts.
    pub(crate) fn allow(&self, fault: &Fault, attempts: u32) -> bool {
        let kind = fault.kind();
        if attempts >= self.attempts.get() || fault.should_retry() == Some(false) {
            return false;
        }
        if self.on.contains(kind) {
            return true;
        }
        let hinted = fault.retry_after().is_some() || fault.should_retry() == Some(true);
        self.on_hint.contains(kind) && hinted && !context::alternatives()
    }

    /// Whether an attempt after `wait` can still do any good before the call must be over.
    pub(crate) fn fits(&self, wait: Duration, now: Instant) -> bool {
        let needed = wait.saturating_add(self.min_useful);
        context::deadline().is_none_or(|deadline| needed < deadline.remaining(now))
    }
}
