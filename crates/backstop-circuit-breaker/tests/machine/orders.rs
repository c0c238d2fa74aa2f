//! What an operator's orders leave alone, and what they undo.

use std::time::Duration;

use backstop_circuit_breaker::{FaultKind, State};
use backstop_core::Fault;

use super::bench::{Bench, policy, rated};

#[test]
fn to_close_a_closed_circuit_forgets_nothing() {
    let bench = Bench::new(rated(60, 10));
    let under_way = bench.begin();
    bench.fail(4);
    bench.breaker.close_at(bench.now);
    under_way.failure_at(FaultKind::Unavailable, bench.now);
    assert_eq!(bench.calls(), [5, 5]);
}

#[test]
fn to_close_a_circuit_that_is_held_off_lets_calls_in() {
    let bench = Bench::new(policy());
    let limited = Fault::new(FaultKind::RateLimited).with_retry_after(Duration::from_secs(30));
    bench.begin().failure_at(limited, bench.now);
    assert!(bench.refused());
    bench.breaker.close_at(bench.now);
    assert!(!bench.refused());
}

#[test]
fn an_open_circuit_still_tells_the_run_that_opened_it() {
    let bench = Bench::new(policy());
    let run = || bench.breaker.counts_at(bench.now).consecutive_failures;
    bench.fail(5);
    assert_eq!(bench.state(), State::Open);
    assert_eq!(run(), 5);
    bench.breaker.close_at(bench.now);
    assert_eq!(run(), 0);
}
