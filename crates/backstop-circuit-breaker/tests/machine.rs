//! The circuit by hand, told the time.

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{
    CircuitBreaker, FaultKind, Jitter, OpenWait, Permit, Policy, Rate, State, Window,
};
use backstop_core::Fault;
use tokio::time::Instant;

const OPEN: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(10);

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn policy() -> Policy {
    Policy::new()
        .without_failure_rate()
        .open_for(OpenWait::fixed(OPEN).jitter(Jitter::None))
        .probe_lease(LEASE)
}

/// A circuit and a clock of its own.
struct Bench {
    breaker: CircuitBreaker,
    now: Instant,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        Self {
            breaker: policy.breaker("bench"),
            now: Instant::now(),
        }
    }

    /// A circuit that five failures have opened, and whose wait is over.
    fn waited(policy: Policy) -> Self {
        let mut bench = Self::new(policy);
        bench.fail(5);
        assert_eq!(bench.state(), State::Open);
        bench.advance(OPEN);
        bench
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    fn begin(&self) -> Permit {
        self.breaker.try_acquire_at(self.now).unwrap()
    }

    fn refused(&self) -> bool {
        self.breaker.try_acquire_at(self.now).is_err()
    }

    fn fail(&self, times: usize) {
        for _ in 0..times {
            self.begin().failure_at(FaultKind::Unavailable, self.now);
        }
    }

    fn succeed(&self, times: usize) {
        for _ in 0..times {
            self.begin().success_at(self.now);
        }
    }

    fn state(&self) -> State {
        self.breaker.state_at(self.now)
    }

    fn calls(&self) -> [u64; 2] {
        let counts = self.breaker.counts_at(self.now);
        [counts.calls, counts.failures]
    }
}

// ===== Defects of other libraries, by what they did wrong =====

#[test]
fn a_dropped_probe_does_not_close_the_circuit() {
    let bench = Bench::waited(policy());
    bench.begin().ignore_at(bench.now);
    assert_eq!(bench.state(), State::HalfOpen);
}

#[test]
fn a_dropped_probe_gives_its_place_back() {
    let bench = Bench::waited(policy());
    drop(bench.begin());
    bench.begin().success_at(bench.now);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn a_probe_that_hangs_loses_its_place_when_its_lease_is_over() {
    let mut bench = Bench::waited(policy());
    let hung = bench.begin();
    bench.advance(LEASE - ms(1));
    assert!(bench.refused());
    bench.advance(ms(1));
    let next = bench.begin();
    hung.failure_at(FaultKind::TimedOut, bench.now);
    assert_eq!(bench.state(), State::HalfOpen);
    next.success_at(bench.now);
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.breaker.counts_at(bench.now).late, 1);
}

#[test]
fn a_probe_refused_further_in_gives_its_place_back() {
    let bench = Bench::waited(policy());
    bench.begin().failure_at(FaultKind::Refused, bench.now);
    assert_eq!(bench.state(), State::HalfOpen);
    bench.begin().success_at(bench.now);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn a_late_failure_does_not_open_a_half_open_circuit() {
    let bench = Bench::new(policy());
    let old = bench.begin();
    bench.fail(5);
    let mut bench = bench;
    bench.advance(OPEN);
    let probe = bench.begin();
    old.failure_at(FaultKind::Unavailable, bench.now);
    assert_eq!(bench.state(), State::HalfOpen);
    probe.success_at(bench.now);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn a_late_success_does_not_close_a_half_open_circuit() {
    let mut bench = Bench::new(policy());
    let old = bench.begin();
    bench.fail(5);
    bench.advance(OPEN);
    let probe = bench.begin();
    old.success_at(bench.now);
    assert_eq!(bench.state(), State::HalfOpen);
    probe.failure_at(FaultKind::Unavailable, bench.now);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn late_neutral_results_mint_no_probes() {
    let mut bench = Bench::new(policy());
    let old: Vec<_> = (0..5).map(|_| bench.begin()).collect();
    bench.fail(5);
    bench.advance(OPEN);
    let early = bench.begin();
    for permit in old {
        permit.ignore_at(bench.now);
    }
    assert!(bench.refused());
    drop(early);
    let _probe = bench.begin();
    assert!(bench.refused());
}

#[test]
fn only_as_many_probes_pass_as_are_permitted() {
    let bench = Bench::waited(policy().probes(n(3)));
    let admitted: Vec<_> = (0..1000)
        .filter_map(|_| bench.breaker.try_acquire_at(bench.now).ok())
        .collect();
    assert_eq!(admitted.len(), 3);
    assert_eq!(bench.breaker.counts_at(bench.now).refused, 997);
}

#[test]
fn failures_of_yesterday_are_forgotten() {
    let mut bench = Bench::new(rated(10, 2));
    bench.fail(1);
    bench.advance(Duration::from_secs(86_400));
    bench.succeed(1);
    assert_eq!(bench.calls(), [1, 0]);
}

#[test]
fn calls_longer_than_the_window_are_counted_when_they_end() {
    let mut bench = Bench::new(
        Policy::new()
            .without_consecutive()
            .window(Window::time(ms(200)))
            .min_calls(n(5)),
    );
    let calls: Vec<_> = (0..5).map(|_| bench.begin()).collect();
    bench.advance(ms(300));
    for call in calls {
        call.failure_at(FaultKind::Unavailable, bench.now);
    }
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn calls_that_never_end_are_counted_slow_while_under_way() {
    let mut bench = Bench::new(policy().slow_calls(ms(1000), Rate::HALF));
    let hung: Vec<_> = (0..10).map(|_| bench.begin()).collect();
    bench.advance(ms(999));
    assert_eq!(bench.state(), State::Closed);
    bench.advance(ms(1));
    assert_eq!(bench.state(), State::Open);
    drop(hung);
}

#[test]
fn an_instant_before_the_last_one_known_neither_empties_nor_freezes_the_window() {
    let mut bench = Bench::new(rated(60, 1000));
    bench.advance(Duration::from_secs(50));
    bench.fail(10);
    let late = bench.now;
    bench.now -= Duration::from_secs(45);
    bench.fail(90);
    assert_eq!(bench.calls(), [100, 100]);
    bench.now = late + Duration::from_secs(61);
    assert_eq!(bench.calls(), [0, 0]);
}

#[test]
fn a_wait_ends_by_the_clock_that_it_is_told() {
    let mut bench = Bench::new(policy());
    bench.fail(5);
    bench.advance(OPEN - ms(1));
    assert!(bench.refused());
    bench.advance(ms(1));
    assert!(!bench.refused());
}

#[test]
fn a_half_open_circuit_says_when_its_next_probe_may_go() {
    let mut bench = Bench::waited(policy());
    let _probe = bench.begin();
    bench.advance(ms(4000));
    let open = bench.breaker.try_acquire_at(bench.now).unwrap_err();
    assert_eq!(open.retry_after(), Some(ms(6000)));
    assert_eq!(open.reason(), "circuit half-open");
}

#[test]
fn many_dropped_calls_keep_no_place() {
    let bench = Bench::waited(policy());
    for _ in 0..100 {
        drop(bench.begin());
    }
    assert_eq!(bench.breaker.counts_at(bench.now).probes, 0);
}

#[test]
fn a_caller_that_leaves_is_neutral_and_a_timeout_is_not() {
    let bench = Bench::new(policy());
    for _ in 0..20 {
        drop(bench.begin());
    }
    assert_eq!(bench.state(), State::Closed);
    for _ in 0..5 {
        bench.begin().failure_at(FaultKind::TimedOut, bench.now);
    }
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_window_of_one_call_works() {
    let calls = std::num::NonZeroU16::MIN;
    let one = Policy::new()
        .without_consecutive()
        .window(Window::calls(calls));
    let bench = Bench::new(one.min_calls(n(1)));
    bench.succeed(3);
    bench.fail(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_window_over_calls_slides() {
    let calls = std::num::NonZeroU16::new(10).unwrap();
    let ten = Policy::new()
        .without_consecutive()
        .window(Window::calls(calls));
    let bench = Bench::new(ten.failure_rate(Rate::ALL));
    bench.succeed(10_000);
    bench.fail(9);
    assert_eq!(bench.state(), State::Closed);
    bench.fail(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_rate_is_reached_from_exactly_the_threshold_on() {
    for (rate, failures, calls) in [(0.7, 7, 10), (0.5, 1, 2), (1.0, 3, 3), (0.1, 1, 10)] {
        let rate = Rate::new(rate).unwrap();
        let bench = Bench::new(rated(60, calls).failure_rate(rate));
        bench.succeed(calls as usize - failures);
        bench.fail(failures - 1);
        assert_eq!(bench.state(), State::Closed);
        bench.fail(1);
        assert_eq!(bench.state(), State::Open, "{failures} of {calls}");
    }
}

#[test]
fn late_failures_neither_prolong_the_wait_nor_open_twice() {
    let mut bench = Bench::new(policy());
    let late: Vec<_> = (0..2).map(|_| bench.begin()).collect();
    bench.fail(5);
    bench.advance(OPEN - ms(1));
    for permit in late {
        permit.failure_at(FaultKind::Unavailable, bench.now);
    }
    assert_eq!(bench.breaker.counts_at(bench.now).openings, 1);
    bench.advance(ms(1));
    assert!(!bench.refused());
}

#[test]
fn a_rate_limit_between_failures_neither_adds_to_the_run_nor_ends_it() {
    let bench = Bench::new(policy());
    bench.fail(4);
    bench.begin().failure_at(FaultKind::RateLimited, bench.now);
    assert_eq!(bench.state(), State::Closed);
    bench.fail(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_year_of_idling_costs_no_more_than_a_moment() {
    let mut bench = Bench::new(rated(1, 10));
    bench.fail(1);
    bench.advance(Duration::from_secs(365 * 86_400));
    // Ten million buckets of 100 ms have passed; were they gone through one by one, a thousand
    // such years would take hours.
    for _ in 0..1000 {
        bench.advance(Duration::from_secs(365 * 86_400));
        bench.fail(1);
        assert_eq!(bench.calls(), [1, 1]);
    }
}

// ===== Trip rules =====

fn rated(seconds: u64, min_calls: u32) -> Policy {
    Policy::new()
        .without_consecutive()
        .window(Window::time(Duration::from_secs(seconds)))
        .min_calls(n(min_calls))
}

#[test]
fn a_success_can_be_the_call_with_which_there_are_enough() {
    let bench = Bench::new(rated(20, 5));
    bench.fail(3);
    bench.succeed(1);
    assert_eq!(bench.state(), State::Closed);
    bench.succeed(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn the_default_opens_after_five_failures_in_a_row() {
    let bench = Bench::new(Policy::new());
    bench.fail(4);
    bench.succeed(1);
    bench.fail(4);
    assert_eq!(bench.state(), State::Closed);
    bench.fail(1);
    assert_eq!(bench.state(), State::Open);
    let wait = bench.breaker.remaining_at(bench.now).unwrap();
    assert!((Duration::from_secs(30)..=Duration::from_secs(60)).contains(&wait));
}

#[test]
fn slow_calls_open_although_they_succeed() {
    let mut bench = Bench::new(policy().slow_calls(ms(100), Rate::HALF).min_calls(n(4)));
    bench.succeed(2);
    for state in [State::Closed, State::Open] {
        let call = bench.begin();
        bench.advance(ms(100));
        call.success_at(bench.now);
        assert_eq!(bench.state(), state);
    }
}

#[test]
fn a_tail_has_no_speed() {
    let mut bench = Bench::new(policy().slow_calls(ms(100), Rate::HALF).min_calls(n(1)));
    let mut call = bench.begin();
    call.commit_at(bench.now);
    bench.advance(Duration::from_secs(60));
    call.success_at(bench.now);
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.breaker.counts_at(bench.now).slow, 0);
}

#[test]
fn a_kind_that_opens_at_once_opens_at_once() {
    let bench = Bench::new(Policy::new());
    bench.begin().failure_at(FaultKind::Denied, bench.now);
    assert_eq!(bench.state(), State::Open);
}

// ===== Waits =====

#[test]
fn retry_after_is_a_floor_on_the_wait_up_to_its_cap() {
    for (asked, waits) in [(1, 5), (30, 30), (100_000, 600)] {
        let bench = Bench::new(policy());
        bench.fail(4);
        let asked = Duration::from_secs(asked);
        let fault = Fault::new(FaultKind::Overloaded).with_retry_after(asked);
        bench.begin().failure_at(fault, bench.now);
        let left = bench.breaker.remaining_at(bench.now);
        assert_eq!(left, Some(Duration::from_secs(waits)));
    }
}

#[test]
fn a_growing_wait_grows_until_the_circuit_has_been_closed() {
    let wait = OpenWait::growing(ms(1000), ms(5000)).jitter(Jitter::None);
    let mut bench = Bench::new(policy().open_for(wait));
    bench.fail(5);
    for expected in [1000, 2000, 4000, 5000, 5000] {
        assert_eq!(bench.breaker.remaining_at(bench.now), Some(ms(expected)));
        bench.advance(ms(expected));
        bench.fail(1);
    }
    bench.advance(ms(5000));
    bench.succeed(1);
    bench.fail(5);
    assert_eq!(bench.breaker.remaining_at(bench.now), Some(ms(1000)));
}

#[test]
fn a_rate_limit_holds_off_until_its_retry_after_and_no_longer() {
    let mut bench = Bench::new(policy());
    let under_way = bench.begin();
    let limited = Fault::new(FaultKind::RateLimited).with_retry_after(Duration::from_secs(30));
    bench.begin().failure_at(limited, bench.now);
    assert_eq!(bench.state(), State::Closed);
    let open = bench.breaker.try_acquire_at(bench.now).unwrap_err();
    assert_eq!(open.retry_after(), Some(Duration::from_secs(30)));
    assert_eq!(open.reason(), "held off");
    // It is the same generation: what was under way still counts.
    under_way.failure_at(FaultKind::Unavailable, bench.now);
    assert_eq!(bench.breaker.counts_at(bench.now).consecutive_failures, 1);
    bench.advance(Duration::from_secs(30));
    bench.fail(4);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn an_exhausted_quota_holds_off_for_long() {
    let bench = Bench::new(policy());
    bench
        .begin()
        .failure_at(FaultKind::QuotaExhausted, bench.now);
    assert_eq!(
        bench.breaker.remaining_at(bench.now),
        Some(Duration::from_secs(600))
    );
}

#[test]
fn a_rate_limit_fails_a_probe() {
    let bench = Bench::waited(policy());
    let limited = Fault::new(FaultKind::RateLimited).with_retry_after(Duration::from_secs(30));
    bench.begin().failure_at(limited, bench.now);
    assert_eq!(bench.state(), State::Open);
    assert_eq!(
        bench.breaker.remaining_at(bench.now),
        Some(Duration::from_secs(30))
    );
}

// ===== Half-open =====

#[test]
fn decides_as_soon_as_the_rest_cannot_change_it() {
    let bench = Bench::waited(policy().probes(n(10)).probe_failures(3));
    bench.fail(3);
    assert_eq!(bench.state(), State::HalfOpen);
    bench.succeed(6);
    assert_eq!(bench.state(), State::HalfOpen);
    bench.succeed(1);
    assert_eq!(bench.state(), State::Closed);

    let bench = Bench::waited(policy().probes(n(10)).probe_failures(3));
    bench.fail(4);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn more_calls_needed_for_a_rate_than_probes_are_no_obstacle() {
    let bench = Bench::waited(
        Policy::new()
            .min_calls(n(100))
            .probes(n(3))
            .open_for(OpenWait::fixed(OPEN).jitter(Jitter::None)),
    );
    bench.succeed(3);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn half_open_for_too_long_opens_again_as_if_a_timer_had_fired() {
    let mut bench = Bench::waited(policy());
    let hung = bench.begin();
    bench.advance(LEASE * 3);
    assert_eq!(bench.state(), State::Open);
    assert_eq!(bench.breaker.remaining_at(bench.now), Some(OPEN));
    drop(hung);

    // A service that is called once a day is probed by its next call all the same.
    let mut rare = Bench::waited(policy());
    drop(rare.begin());
    rare.advance(Duration::from_secs(86_400));
    rare.succeed(1);
    assert_eq!(rare.state(), State::Closed);
}

#[test]
fn a_slow_probe_is_a_failed_probe() {
    let slow = policy().slow_calls(ms(100), Rate::ALL);
    let mut bench = Bench::waited(slow);
    let probe = bench.begin();
    bench.advance(ms(100));
    probe.success_at(bench.now);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_probe_is_judged_when_it_commits_and_its_tail_counts_in_the_new_generation() {
    let bench = Bench::waited(policy());
    let mut probe = bench.begin();
    probe.commit_at(bench.now);
    assert_eq!(bench.state(), State::Closed);
    bench.fail(4);
    probe.failure_at(FaultKind::Interrupted, bench.now);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_tail_that_fails_while_others_probe_takes_its_success_back() {
    let bench = Bench::waited(policy().probes(n(2)));
    let mut probe = bench.begin();
    probe.commit_at(bench.now);
    assert_eq!(bench.state(), State::HalfOpen);
    probe.failure_at(FaultKind::Interrupted, bench.now);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_panic_in_the_call_is_a_failure() {
    let bench = Bench::new(policy());
    for _ in 0..5 {
        let call = std::panic::AssertUnwindSafe(|| {
            let _permit = bench.begin();
            std::panic::resume_unwind(Box::new("the call fell over"));
        });
        std::panic::catch_unwind(call).unwrap_err();
    }
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn nothing_hostile_in_a_policy_panics_or_wedges() {
    let absurd = Policy::new()
        .window(Window::time(Duration::MAX))
        .slow_calls(Duration::MAX, Rate::ALL)
        .open_for(OpenWait::growing(Duration::MAX, Duration::ZERO))
        .retry_after_cap(Duration::MAX)
        .quota_wait(Duration::MAX)
        .probe_lease(Duration::MAX)
        .max_half_open(Duration::ZERO)
        .probes(NonZeroU32::MAX)
        .probe_failures(u32::MAX);
    let bench = Bench::new(absurd);
    bench.fail(5);
    assert!(bench.refused());
    let zero = Policy::new()
        .window(Window::time(Duration::ZERO).buckets(0))
        .slow_calls(Duration::ZERO, Rate::ALL)
        .open_for(OpenWait::fixed(Duration::ZERO))
        .probe_lease(Duration::ZERO);
    let bench = Bench::new(zero);
    let held: Vec<_> = (0..100)
        .filter_map(|_| bench.breaker.try_acquire_at(bench.now).ok())
        .collect();
    assert!(!held.is_empty());
}
