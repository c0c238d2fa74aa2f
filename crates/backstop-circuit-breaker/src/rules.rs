//! A policy as the machine reads it: plain numbers, time in microseconds.

use backstop_core::{Fault, FaultKind, FaultKinds};

use crate::{
    Cause, Jitter, Policy,
    rate::Span,
    wait::{Wait, micros},
    window::Tally,
};

/// What never comes: a threshold that is no part of the policy.
const NEVER: f64 = f64::INFINITY;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How many failures in a row open the circuit; 0 where that is no rule.
    pub(crate) consecutive: u32,
    pub(crate) min_calls: u32,
    failure_rate: f64,
    /// How long a bucket of the time window is; 0 where there is no such window.
    pub(crate) width: u64,
    pub(crate) buckets: u8,
    /// Whether there is a window over the last so many calls.
    pub(crate) last_calls: bool,
    /// Whether calls are counted in a window, so that their end must be dated.
    pub(crate) windowed: bool,
    /// Whether that can be done without the lock.
    pub(crate) lock_free: bool,
    /// Whether the beginning of a call must be dated.
    pub(crate) dated: bool,
    pub(crate) wait: Wait,
    pub(crate) jitter: Jitter,
    retry_after_cap: u64,
    quota_wait: u64,
    pub(crate) probes: u32,
    pub(crate) probe_failures: u32,
    pub(crate) probe_lease: u64,
    pub(crate) max_half_open: u64,
    failures: FaultKinds,
    at_once: FaultKinds,
    hold_off: FaultKinds,
}

/// What a fault means to the circuit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Weight {
    AtOnce,
    Failure,
    /// Leave the service alone for so long, where it said or is known how long.
    HoldOff(Option<u64>),
    Neutral,
}

impl Rules {
    pub(crate) fn new<L>(policy: &Policy<L>) -> Self {
        let windowed = policy.failure_rate.is_some() || policy.slow.is_some();
        let (width, buckets) = match policy.window.0 {
            Span::Time { length, buckets } if windowed => {
                let width = micros(length).div_ceil(u64::from(buckets));
                // A bucket of a year at most, so that its end fits the window's clock.
                (width.clamp(1_000, 365 * 86_400 * 1_000_000), buckets)
            }
            _ => (0, 1),
        };
        let last_calls = match policy.window.0 {
            Span::Calls(calls) if windowed => Some(u32::from(calls.get())),
            _ => None,
        };
        let probes = policy.probes.get();
        let lease = policy.probe_lease.unwrap_or(policy.wait.base());
        let lease = micros(lease).max(1_000);
        Self {
            consecutive: policy.consecutive.map_or(0, Into::into),
            min_calls: policy.min_calls.get().min(last_calls.unwrap_or(u32::MAX)),
            failure_rate: policy.failure_rate.map_or(NEVER, |rate| rate.get()),
            width,
            buckets,
            last_calls: last_calls.is_some(),
            windowed,
            lock_free: width != 0 && policy.slow.is_none(),
            dated: policy.slow.is_some(),
            wait: policy.wait.compile(),
            jitter: policy.wait.spread(),
            retry_after_cap: micros(policy.retry_after_cap),
            quota_wait: micros(policy.quota_wait),
            probes,
            probe_failures: policy.probe_failures.min(probes - 1),
            probe_lease: lease,
            max_half_open: match policy.max_half_open {
                Some(limit) => micros(limit).max(1_000),
                None => lease.saturating_mul(3),
            },
            failures: policy.failures,
            at_once: policy.at_once,
            hold_off: policy.hold_off,
        }
    }

    pub(crate) fn weigh(&self, fault: &Fault) -> Weight {
        let kind = fault.kind();
        if self.at_once.contains(kind) {
            Weight::AtOnce
        } else if self.hold_off.contains(kind) {
            let quota = (kind == FaultKind::QuotaExhausted).then_some(self.quota_wait);
            Weight::HoldOff(self.retry_after(fault).or(quota))
        } else if self.failures.contains(kind) {
            Weight::Failure
        } else {
            Weight::Neutral
        }
    }

    /// How long the service asked to be left alone, up to the cap.
    pub(crate) fn retry_after(&self, fault: &Fault) -> Option<u64> {
        let wait = micros(fault.retry_after()?).min(self.retry_after_cap);
        (wait > 0).then_some(wait)
    }

    /// Whether the calls of a window have reached the failure rate.
    #[inline]
    pub(crate) fn too_many(&self, tally: Tally) -> Option<Cause> {
        // A quotient of integers is rounded as the threshold itself was when it was written down,
        // so that 7 of 10 reach 0.7; a product would miss it by a hair.
        let reached = tally.calls >= u64::from(self.min_calls)
            && share(tally.failures, tally.calls) >= self.failure_rate;
        reached.then_some(Cause::FailureRate)
    }
}

/// The share that `part` is of `whole`; of nothing it is none.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}
