//! A circuit as an operator sees it.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{
    Cause, CircuitBreaker, Listener, State, Transitions, breaker::Shared, cold::Cold, rules::share,
    sync::Arc,
};

/// What a circuit has counted.
///
/// The first three are of the calls in the window; of the probes, while the circuit is half-open.
/// A circuit without a rate among its rules has no window and counts none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls that ended, with a success or a failure.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Those of them that were slow.
    pub slow: u64,
    /// Calls that are slow and still under way.
    pub slow_in_flight: u64,
    /// Probes that are out.
    pub probes: u32,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// How many times the circuit has opened since it was last closed.
    pub openings: u32,
    /// Calls refused since the circuit was made.
    pub refused: u64,
    /// Results that came when their generation had passed, and moved nothing, since the circuit
    /// was made.
    pub late: u64,
}

impl<L: Listener> CircuitBreaker<L> {
    /// The state.
    ///
    /// An open circuit whose wait is over stays open until a call comes to probe it.
    #[must_use]
    pub fn state(&self) -> State {
        self.state_at(Instant::now())
    }

    /// The [`state`](Self::state) at this instant.
    #[must_use]
    pub fn state_at(&self, now: Instant) -> State {
        let machine = &self.shared.machine;
        machine.tick(self.shared.tick(now));
        self.shared.deliver();
        machine.word.load().state()
    }

    /// What the circuit has counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts_at(Instant::now())
    }

    /// The [`counts`](Self::counts) at this instant.
    #[must_use]
    pub fn counts_at(&self, now: Instant) -> Counts {
        let state = self.state_at(now);
        let now = self.shared.tick(now);
        let machine = &self.shared.machine;
        let cold = &mut machine.cold();
        let mut counts = Counts {
            slow_in_flight: cold.slow_in_flight(now),
            consecutive_failures: machine.word.load().consecutive(),
            openings: cold.attempt,
            refused: machine.refused(),
            late: machine.late(),
            ..Counts::default()
        };
        if state == State::HalfOpen {
            counts.calls = u64::from(cold.succeeded) + u64::from(cold.failed);
            counts.failures = u64::from(cold.failed);
            counts.probes = cold.probes_out();
        } else {
            let tally = cold.tally(now, machine);
            counts.calls = tally.calls;
            counts.failures = tally.failures;
            counts.slow = tally.slow;
        }
        counts
    }

    /// The share of the calls in the window that failed; none while there are too few to tell.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        self.failure_rate_at(Instant::now())
    }

    /// The [`failure_rate`](Self::failure_rate) at this instant.
    #[must_use]
    pub fn failure_rate_at(&self, now: Instant) -> Option<f64> {
        let counts = self.counts_at(now);
        self.rate(counts.failures, counts.calls)
    }

    /// The share of the calls in the window that were slow, with those that are slow already and
    /// still under way; none while there are too few to tell.
    #[must_use]
    pub fn slow_rate(&self) -> Option<f64> {
        self.slow_rate_at(Instant::now())
    }

    /// The [`slow_rate`](Self::slow_rate) at this instant.
    #[must_use]
    pub fn slow_rate_at(&self, now: Instant) -> Option<f64> {
        let counts = self.counts_at(now);
        let hung = counts.slow_in_flight;
        self.rate(counts.slow + hung, counts.calls + hung)
    }

    fn rate(&self, part: u64, whole: u64) -> Option<f64> {
        let min = u64::from(self.shared.machine.rules.min_calls);
        (whole > 0 && whole >= min).then(|| share(part, whole))
    }

    /// How long calls will still be refused: none while they pass, and where only a person can
    /// tell.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining_at(Instant::now())
    }

    /// The [`remaining`](Self::remaining) time at this instant.
    #[must_use]
    pub fn remaining_at(&self, now: Instant) -> Option<Duration> {
        self.refusal(|| now)?.wait()
    }

    /// Lets no call pass while the guard lives, whatever the service does. Isolated more than
    /// once, the circuit is closed again with the last guard; until then it obeys no other order.
    #[must_use = "the circuit is isolated while the guard lives"]
    pub fn isolate(&self) -> Isolation<L> {
        self.command(|shared, cold, now| {
            cold.isolated = cold.isolated.saturating_add(1);
            shared.machine.force(cold, State::ForcedOpen, now);
        });
        Isolation {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Lets no call pass until someone orders otherwise.
    pub fn force_open(&self) {
        self.order(|shared, cold, now| shared.machine.force(cold, State::ForcedOpen, now));
    }

    /// Opens for this long; then a probe finds out whether the service is back.
    pub fn open_for(&self, wait: Duration) {
        self.open_for_at(wait, Instant::now());
    }

    /// [`open_for`](Self::open_for) from this instant on.
    pub fn open_for_at(&self, wait: Duration, now: Instant) {
        let wait = crate::wait::micros(wait);
        self.order_at(now, |shared, cold, now| {
            cold.attempt = cold.attempt.saturating_add(1);
            shared.machine.open_for(cold, now, Cause::ByHand, wait);
        });
    }

    /// Opens for as long as the policy says.
    pub fn open(&self) {
        self.open_at(Instant::now());
    }

    /// [`open`](Self::open) at this instant.
    pub fn open_at(&self, now: Instant) {
        self.order_at(now, |shared, cold, now| {
            shared.machine.open(cold, now, Cause::ByHand, 0);
        });
    }

    /// Ends an open wait: the next call is a probe. A circuit through which calls pass is left as
    /// it is.
    pub fn half_open(&self) {
        self.half_open_at(Instant::now());
    }

    /// [`half_open`](Self::half_open) at this instant.
    pub fn half_open_at(&self, now: Instant) {
        self.order_at(now, |shared, cold, now| {
            let state = shared.machine.word.load().state();
            if matches!(state, State::ForcedOpen | State::Open) {
                shared.machine.half_open(cold, now, Cause::ByHand);
            }
        });
    }

    /// Closes the circuit. One that is closed already is left as it is.
    pub fn close(&self) {
        self.close_at(Instant::now());
    }

    /// [`close`](Self::close) at this instant.
    pub fn close_at(&self, now: Instant) {
        self.order_at(now, |shared, cold, now| {
            cold.attempt = 0;
            shared.machine.force(cold, State::Closed, now);
        });
    }

    /// Closes the circuit and forgets all that it has counted. Calls under way count for nothing
    /// when they end.
    pub fn reset(&self) {
        self.reset_at(Instant::now());
    }

    /// [`reset`](Self::reset) at this instant.
    pub fn reset_at(&self, now: Instant) {
        self.order_at(now, |shared, cold, now| {
            shared.machine.close(cold, now, Cause::ByHand)
        });
    }

    /// Lets every call pass and counts none, until someone orders otherwise.
    pub fn disable(&self) {
        self.order(|shared, cold, now| shared.machine.force(cold, State::Disabled, now));
    }

    /// Lets every call pass and counts them, but opens for nothing, until someone orders
    /// otherwise. Where the circuit would have opened the listener hears of it.
    pub fn metrics_only(&self) {
        self.order(|shared, cold, now| shared.machine.force(cold, State::MetricsOnly, now));
    }

    /// Follows the changes of state from now on.
    #[must_use]
    pub fn transitions(&self) -> Transitions {
        Transitions::new(self.shared.follow())
    }

    fn order(&self, order: impl FnOnce(&Shared<L>, &mut Cold, u64)) {
        self.order_at(Instant::now(), order);
    }

    /// Does what someone said, unless the circuit is isolated.
    pub(crate) fn order_at(&self, now: Instant, order: impl FnOnce(&Shared<L>, &mut Cold, u64)) {
        self.command_at(now, |shared, cold, now| {
            if cold.isolated == 0 {
                order(shared, cold, now);
            }
        });
    }

    fn command(&self, command: impl FnOnce(&Shared<L>, &mut Cold, u64)) {
        self.command_at(Instant::now(), command);
    }

    fn command_at(&self, now: Instant, command: impl FnOnce(&Shared<L>, &mut Cold, u64)) {
        let shared = &*self.shared;
        command(shared, &mut shared.machine.cold(), shared.tick(now));
        shared.deliver();
    }
}

/// Keeps a circuit isolated while it lives: [`CircuitBreaker::isolate`].
#[must_use = "the circuit is isolated while the guard lives"]
pub struct Isolation<L: Listener = ()> {
    shared: Arc<Shared<L>>,
}

impl<L: Listener> Drop for Isolation<L> {
    fn drop(&mut self) {
        let shared = &*self.shared;
        let now = shared.tick(Instant::now());
        {
            let cold = &mut shared.machine.cold();
            cold.isolated = cold.isolated.saturating_sub(1);
            if cold.isolated == 0 {
                cold.attempt = 0;
                shared.machine.force(cold, State::Closed, now);
            }
        }
        shared.deliver();
    }
}

impl<L: Listener> fmt::Debug for Isolation<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isolation")
            .field("circuit", &self.shared.name)
            .finish_non_exhaustive()
    }
}
