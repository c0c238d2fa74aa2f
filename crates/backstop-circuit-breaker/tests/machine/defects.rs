//! Defects that circuit breakers are known to have had, each by what went wrong.

use std::{num::NonZeroU16, time::Duration};

use backstop_circuit_breaker::{FaultKind, Policy, Rate, Reason, State, Window};

use crate::bench::{Bench, LEASE, OPEN, ms, n, policy, rated};

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
    assert_eq!(open.reason(), Reason::HalfOpen);
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
    let calls = NonZeroU16::MIN;
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
    let calls = NonZeroU16::new(10).unwrap();
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
