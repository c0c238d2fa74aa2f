//! Permits, generations, leases and the window under every interleaving of threads.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p backstop-circuit-breaker --release --test loom`
#![cfg(loom)]

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{
    CircuitBreaker, FaultKind, Jitter, OpenWait, Permit, Policy, Rate, State, Window,
};
use loom::thread;
use tokio::time::Instant;

const OPEN: Duration = Duration::from_secs(5);

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn policy() -> Policy {
    Policy::new()
        .consecutive(n(2))
        .without_failure_rate()
        .open_for(OpenWait::fixed(OPEN).jitter(Jitter::None))
}

fn begin(breaker: &CircuitBreaker, now: Instant) -> Permit {
    breaker.try_acquire_at(now).unwrap()
}

/// A circuit that two failures have opened, and the end of its wait.
fn waited(policy: Policy) -> (CircuitBreaker, Instant) {
    let breaker = policy.breaker("loom");
    let now = Instant::now();
    for _ in 0..2 {
        begin(&breaker, now).failure_at(FaultKind::Unavailable, now);
    }
    (breaker, now + OPEN)
}

/// Every interleaving with up to two switches that no thread asked for, or as many as
/// `LOOM_MAX_PREEMPTIONS` says.
fn check(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(2));
    model.check(run);
}

#[test]
fn exactly_the_permitted_probes_pass() {
    check(|| {
        let (breaker, now) = waited(policy().probes(n(2)));
        let threads = [(); 2].map(|()| {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.try_acquire_at(now).ok())
        });
        let mine = breaker.try_acquire_at(now).ok();
        let others = threads.map(|thread| thread.join().unwrap());
        let admitted = others.iter().chain([&mine]).flatten().count();
        assert_eq!(admitted, 2);
    });
}

#[test]
fn a_late_failure_never_reaches_the_generation_after() {
    check(|| {
        let breaker = policy().breaker("loom");
        let now = Instant::now();
        let old = begin(&breaker, now);
        for _ in 0..2 {
            begin(&breaker, now).failure_at(FaultKind::Unavailable, now);
        }
        let now = now + OPEN;
        let late = thread::spawn(move || old.failure_at(FaultKind::Unavailable, now));
        begin(&breaker, now).success_at(now);
        late.join().unwrap();
        assert_eq!(breaker.state_at(now), State::Closed);
        let counts = breaker.counts_at(now);
        assert_eq!((counts.consecutive_failures, counts.late), (0, 1));
    });
}

#[test]
fn failures_at_once_open_once() {
    check(|| {
        let breaker = policy().breaker("loom");
        let now = Instant::now();
        let permits = [begin(&breaker, now), begin(&breaker, now)];
        let threads = permits
            .map(|permit| thread::spawn(move || permit.failure_at(FaultKind::Unavailable, now)));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(breaker.state_at(now), State::Open);
        assert_eq!(breaker.counts_at(now).openings, 1);
    });
}

#[test]
fn a_probe_whose_lease_is_over_and_the_one_in_its_place_are_told_apart() {
    check(|| {
        let (breaker, now) = waited(policy().probe_lease(OPEN));
        let hung = begin(&breaker, now);
        let later = now + OPEN;
        let late = thread::spawn(move || hung.failure_at(FaultKind::TimedOut, later));
        let next = breaker.try_acquire_at(later);
        late.join().unwrap();
        // Whichever came first, the hung probe moved nothing.
        next.unwrap().success_at(later);
        assert_eq!(breaker.state_at(later), State::Closed);
    });
}

#[test]
fn a_dropped_probe_gives_its_place_to_one_other() {
    check(|| {
        let (breaker, now) = waited(policy());
        let probe = begin(&breaker, now);
        let other = breaker.clone();
        let racing = thread::spawn(move || other.try_acquire_at(now).ok());
        probe.ignore_at(now);
        let mine = breaker.try_acquire_at(now).ok();
        let other = racing.join().unwrap();
        assert!(mine.is_some() != other.is_some());
    });
}

fn windowed() -> Policy {
    Policy::new()
        .without_consecutive()
        .failure_rate(Rate::ALL)
        .min_calls(n(3))
        .window(Window::time(Duration::from_secs(60)))
}

#[test]
fn no_call_is_lost_while_a_bucket_ends() {
    check(|| {
        let breaker = windowed().breaker("loom");
        let start = Instant::now();
        let later = start + Duration::from_secs(7);
        let permits = [begin(&breaker, start), begin(&breaker, start)];
        let threads = permits.map(|permit| thread::spawn(move || permit.success_at(later)));
        begin(&breaker, start).success_at(start);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(breaker.counts_at(later).calls, 3);
    });
}

#[test]
fn the_last_of_the_failures_that_reach_the_rate_opens() {
    check(|| {
        let breaker = windowed().breaker("loom");
        let start = Instant::now();
        let later = start + Duration::from_secs(7);
        begin(&breaker, start).failure_at(FaultKind::Unavailable, start);
        let permits = [begin(&breaker, start), begin(&breaker, start)];
        let threads = permits
            .map(|permit| thread::spawn(move || permit.failure_at(FaultKind::Unavailable, later)));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(breaker.state_at(later), State::Open);
        assert_eq!(breaker.counts_at(later).openings, 1);
    });
}

#[test]
fn no_call_is_counted_twice_while_a_bucket_ends() {
    check(|| {
        // A failure and a success are in the window, and two more calls end: one bucket counted
        // both as present and as past would make enough of them, half of them failures.
        let policy = windowed().failure_rate(Rate::HALF).min_calls(n(5));
        let breaker = policy.breaker("loom");
        let start = Instant::now();
        let later = start + Duration::from_secs(7);
        let permits = [begin(&breaker, start), begin(&breaker, later)];
        begin(&breaker, start).success_at(start);
        begin(&breaker, start).failure_at(FaultKind::Unavailable, start);
        let [mine, other] = permits;
        let racing = thread::spawn(move || other.success_at(later));
        mine.failure_at(FaultKind::Unavailable, start);
        racing.join().unwrap();
        assert_eq!(breaker.state_at(later), State::Closed);
    });
}

#[test]
fn a_call_from_before_a_reset_is_not_counted_after_it() {
    check(|| {
        let breaker = windowed().breaker("loom");
        let now = Instant::now();
        let permit = begin(&breaker, now);
        let racing = thread::spawn(move || permit.failure_at(FaultKind::Unavailable, now));
        breaker.reset_at(now);
        racing.join().unwrap();
        let counts = breaker.counts_at(now);
        assert_eq!((counts.calls, counts.consecutive_failures), (0, 0));
    });
}
