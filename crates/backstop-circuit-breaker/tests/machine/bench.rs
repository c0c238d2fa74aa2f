//! A circuit and a clock of its own.

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{
    CircuitBreaker, FaultKind, Jitter, OpenWait, Permit, Policy, State, Window,
};
use tokio::time::Instant;

pub(crate) const OPEN: Duration = Duration::from_secs(5);
pub(crate) const LEASE: Duration = Duration::from_secs(10);

pub(crate) fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("a number above zero")
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn policy() -> Policy {
    Policy::new()
        .without_failure_rate()
        .open_for(OpenWait::fixed(OPEN).jitter(Jitter::None))
        .probe_lease(LEASE)
}

/// A circuit and a clock of its own.
pub(crate) struct Bench {
    pub(crate) breaker: CircuitBreaker,
    pub(crate) now: Instant,
}

impl Bench {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            breaker: policy.breaker("bench"),
            now: Instant::now(),
        }
    }

    /// A circuit that five failures have opened, and whose wait is over.
    pub(crate) fn waited(policy: Policy) -> Self {
        let mut bench = Self::new(policy);
        bench.fail(5);
        assert_eq!(bench.state(), State::Open);
        bench.advance(OPEN);
        bench
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    pub(crate) fn begin(&self) -> Permit {
        self.breaker
            .try_acquire_at(self.now)
            .expect("the circuit lets calls in")
    }

    pub(crate) fn refused(&self) -> bool {
        self.breaker.try_acquire_at(self.now).is_err()
    }

    pub(crate) fn fail(&self, times: usize) {
        for _ in 0..times {
            self.begin().failure_at(FaultKind::Unavailable, self.now);
        }
    }

    pub(crate) fn succeed(&self, times: usize) {
        for _ in 0..times {
            self.begin().success_at(self.now);
        }
    }

    pub(crate) fn state(&self) -> State {
        self.breaker.state_at(self.now)
    }

    pub(crate) fn calls(&self) -> [u64; 2] {
        let counts = self.breaker.counts_at(self.now);
        [counts.calls, counts.failures]
    }
}

/// Opens for half of so many calls in so many seconds, and for nothing else.
pub(crate) fn rated(seconds: u64, min_calls: u32) -> Policy {
    Policy::new()
        .without_consecutive()
        .window(Window::time(Duration::from_secs(seconds)))
        .min_calls(n(min_calls))
}
