//! What a permit can be told, and what is in flight under one.

use std::{num::NonZeroU16, time::Duration};

use backstop_circuit_breaker::{FaultKind, Policy, Rate, State, Window};
use backstop_core::{Deadline, Fault, Verdict, context};
use tokio::time::Instant;

use super::bench::{Bench, OPEN, ms, n, policy, rated};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_verdict_is_a_success_a_failure_or_neither() {
    let bench = Bench::new(rated(60, 100).consecutive(n(3)));
    let failure = Verdict::Failure(Fault::new(FaultKind::Unavailable));
    for (verdict, calls, failures, run) in [
        (failure, 1, 1, 1),
        (Verdict::Neutral, 1, 1, 1),
        (failure, 2, 2, 2),
        (Verdict::Success, 3, 2, 0),
    ] {
        bench.begin().verdict(verdict);
        let counts = bench.breaker.counts();
        let got = (counts.calls, counts.failures, counts.consecutive_failures);
        assert_eq!(got, (calls, failures, run));
    }
}

#[test]
fn a_probe_that_commits_closes_the_circuit_by_the_clock_on_the_wall_too() {
    let breaker = policy().probes(n(1)).breaker("committed");
    breaker.open_for(Duration::ZERO);
    let mut probe = breaker.try_acquire().unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.commit();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_call_that_has_committed_is_in_flight_no_more_and_may_still_fail() {
    let slow = rated(600, 10).slow_calls(SECOND, Rate::ALL);
    let mut bench = Bench::new(slow);
    bench.advance(100 * SECOND);
    let mut tail = bench.begin();
    let hangs = bench.begin();
    tail.commit_at(bench.now);
    bench.advance(10 * SECOND);
    tail.failure_at(FaultKind::Interrupted, bench.now);
    let counts = bench.breaker.counts_at(bench.now);
    assert_eq!((counts.slow_in_flight, counts.slow), (1, 0));
    assert_eq!(counts.failures, 1);
    hangs.success_at(bench.now);
    let counts = bench.breaker.counts_at(bench.now);
    assert_eq!((counts.slow_in_flight, counts.slow), (0, 1));
}

#[test]
fn the_tail_of_a_probe_has_no_speed_either() {
    let slow = policy().slow_calls(SECOND, Rate::ALL).min_calls(n(10));
    let mut bench = Bench::waited(slow);
    let mut probe = bench.begin();
    probe.commit_at(bench.now);
    assert_eq!(bench.state(), State::Closed);
    bench.advance(60 * SECOND);
    probe.failure_at(FaultKind::Interrupted, bench.now);
    let counts = bench.breaker.counts_at(bench.now);
    assert_eq!((counts.calls, counts.failures, counts.slow), (1, 1, 0));
}

#[test]
fn calls_that_hung_before_the_circuit_opened_do_not_open_it_again() {
    let slow = policy().slow_calls(ms(100), Rate::ALL).min_calls(n(10));
    let mut bench = Bench::new(slow);
    let hang: Vec<_> = (0..10).map(|_| bench.begin()).collect();
    bench.advance(SECOND);
    assert_eq!(bench.state(), State::Open);
    bench.advance(OPEN);
    bench.succeed(1);
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.breaker.counts_at(bench.now).slow_in_flight, 0);
    drop(hang);
    bench.succeed(20);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn the_last_calls_are_forgotten_when_the_circuit_closes() {
    let four = NonZeroU16::new(4).unwrap();
    let last = Policy::new()
        .without_consecutive()
        .window(Window::calls(four))
        .min_calls(n(4));
    let mut bench = Bench::new(last);
    bench.fail(4);
    assert_eq!(bench.state(), State::Open);
    bench.advance(2 * Duration::from_secs(60));
    bench.succeed(1);
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.calls(), [0, 0]);
    bench.fail(3);
    assert_eq!(bench.state(), State::Closed);
    bench.fail(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_window_in_fewer_buckets_forgets_in_larger_steps() {
    for (buckets, called_at, gone_at) in [
        (0, 9_900, 10_000),
        (1, 9_900, 10_000),
        (2, 4_900, 10_000),
        (5, 1_900, 10_000),
        (10, 900, 10_000),
        (11, 900, 10_000),
    ] {
        let window = Window::time(10 * SECOND).buckets(buckets);
        let mut bench = Bench::new(rated(10, 100).window(window));
        bench.advance(ms(called_at));
        bench.succeed(1);
        bench.advance(ms(gone_at - called_at - 1));
        assert_eq!(bench.calls(), [1, 0], "{buckets} buckets");
        bench.advance(ms(1));
        assert_eq!(bench.calls(), [0, 0], "{buckets} buckets");
    }
}

#[test]
fn a_wait_of_zero_is_no_word_on_how_long_a_quota_is_used_up() {
    let bench = Bench::new(policy().quota_wait(60 * SECOND));
    let fault = Fault::new(FaultKind::QuotaExhausted).with_retry_after(Duration::ZERO);
    bench.begin().failure_at(fault, bench.now);
    assert_eq!(bench.breaker.remaining_at(bench.now), Some(60 * SECOND));
}

#[test]
fn a_number_that_makes_no_sense_says_what_would() {
    let error = Rate::new(1.5).unwrap_err().to_string();
    assert!(
        error.starts_with("expected ") && error.len() > 20,
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_ignored_is_neutral_even_after_its_deadline() {
    let breaker = policy().breaker("due");
    let begin = || {
        let _due = context::enter_deadline(Deadline::after(Instant::now(), SECOND));
        breaker.try_acquire().unwrap()
    };
    let (ignored, ignored_at, dropped) = (begin(), begin(), begin());
    tokio::time::advance(SECOND).await;
    ignored.ignore();
    ignored_at.ignore_at(Instant::now());
    assert_eq!(breaker.counts().consecutive_failures, 0);
    drop(dropped);
    assert_eq!(breaker.counts().consecutive_failures, 1);
}
