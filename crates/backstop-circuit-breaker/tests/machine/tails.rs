//! Results that come when the circuit is no longer what it was.

use backstop_circuit_breaker::{FaultKind, State};

use super::bench::{Bench, OPEN, policy};

#[test]
fn a_tail_that_fails_two_openings_later_moves_nothing() {
    let mut bench = Bench::waited(policy());
    let mut old = bench.begin();
    old.commit_at(bench.now);
    bench.fail(5);
    bench.advance(OPEN);
    bench.succeed(1);
    assert_eq!(bench.state(), State::Closed);

    old.failure_at(FaultKind::Interrupted, bench.now);
    bench.fail(4);
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.breaker.counts_at(bench.now).late, 1);
}

#[test]
fn what_a_disabled_circuit_let_in_is_not_late() {
    let bench = Bench::new(policy());
    bench.breaker.disable();
    bench.fail(9);
    bench.succeed(1);
    assert_eq!(bench.breaker.counts_at(bench.now).late, 0);
    assert_eq!(bench.calls(), [0, 0]);
}
