//! A circuit that two failures open, and calls through it.

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{CircuitBreaker, FaultKind, Jitter, Listener, OpenWait, Policy};

/// How long it stays open.
pub(crate) const OPEN: Duration = Duration::from_secs(5);

pub(crate) fn policy() -> Policy {
    Policy::new()
        .consecutive(n(2))
        .open_for(OpenWait::fixed(OPEN).jitter(Jitter::None))
}

pub(crate) fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("a number above zero")
}

pub(crate) fn fail<L: Listener>(breaker: &CircuitBreaker<L>, times: usize) {
    for _ in 0..times {
        let permit = breaker.try_acquire().expect("the circuit lets calls in");
        permit.failure(FaultKind::Unavailable);
    }
}

pub(crate) fn succeed<L: Listener>(breaker: &CircuitBreaker<L>, times: usize) {
    for _ in 0..times {
        let permit = breaker.try_acquire().expect("the circuit lets calls in");
        permit.success();
    }
}
