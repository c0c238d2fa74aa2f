//! A circuit read and ordered about.

use std::time::Duration;

use backstop_circuit_breaker::{FaultKind, Reason, State};
use tokio::time::advance;

use crate::support::{OPEN, fail, n, policy, succeed};

#[tokio::test(start_paused = true)]
async fn is_isolated_until_the_last_guard_is_gone() {
    let breaker = policy().breaker("orders");
    let first = breaker.isolate();
    let second = breaker.isolate();
    let open = breaker.try_acquire().unwrap_err();
    assert_eq!(
        (open.reason(), open.retry_after()),
        (Reason::Isolated, None)
    );
    breaker.reset();
    drop(first);
    assert_eq!(breaker.state(), State::ForcedOpen);
    drop(second);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn forced_open_it_waits_for_an_order() {
    let breaker = policy().breaker("orders");
    breaker.force_open();
    advance(Duration::from_secs(86_400)).await;
    assert!(breaker.try_acquire().is_err());
    breaker.close();
    assert!(breaker.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn disabled_it_lets_all_pass_and_counts_none() {
    let breaker = policy().breaker("orders");
    breaker.disable();
    fail(&breaker, 10);
    assert_eq!(breaker.state(), State::Disabled);
    let counts = breaker.counts();
    assert_eq!((counts.calls, counts.consecutive_failures), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn opens_for_as_long_as_it_is_told() {
    let breaker = policy().breaker("orders");
    breaker.open_for(Duration::from_secs(7200));
    advance(Duration::from_secs(3600)).await;
    assert_eq!(breaker.remaining(), Some(Duration::from_secs(3600)));
    advance(Duration::from_secs(3600)).await;
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn half_open_by_hand_only_from_where_no_call_passes() {
    let breaker = policy().breaker("orders");
    breaker.half_open();
    assert_eq!(breaker.state(), State::Closed);
    breaker.open_for(OPEN);
    breaker.half_open();
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn reset_forgets_and_makes_calls_under_way_late() {
    let breaker = policy().breaker("orders");
    let under_way = breaker.try_acquire().unwrap();
    fail(&breaker, 1);
    breaker.reset();
    assert_eq!(breaker.counts().consecutive_failures, 0);
    under_way.failure(FaultKind::Unavailable);
    let counts = breaker.counts();
    assert_eq!((counts.calls, counts.late), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn rates_are_unknown_while_there_are_too_few_calls() {
    let breaker = policy().consecutive(n(100)).breaker("orders");
    fail(&breaker, 3);
    succeed(&breaker, 6);
    assert_eq!(breaker.failure_rate(), None);
    succeed(&breaker, 3);
    assert_eq!(breaker.failure_rate(), Some(0.25));
    assert_eq!(breaker.slow_rate(), Some(0.0));
}
