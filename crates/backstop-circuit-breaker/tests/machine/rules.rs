//! What the rules of a policy mean.

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{FaultKind, Jitter, OpenWait, Policy, Rate, Reason, State, Window};
use backstop_core::Fault;

use crate::bench::{Bench, LEASE, OPEN, ms, n, policy, rated};

// ===== Trip rules =====

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
    assert_eq!(open.reason(), Reason::HeldOff);
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
