//! A circuit kept over a restart.

use std::{num::NonZeroU16, time::Duration};

use backstop_circuit_breaker::{
    CircuitBreaker, FaultKind, Jitter, OpenWait, Policy, Rate, State, Window,
};
use backstop_core::Fault;
use tokio::time::advance;

use crate::support::{OPEN, fail, n, policy, succeed};

fn restored(from: &CircuitBreaker, policy: Policy) -> CircuitBreaker {
    let to = policy.breaker("restored");
    to.restore(&from.snapshot()).expect("a known version");
    to
}

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_is_restored_with_its_counts() {
    let breaker = policy().breaker("saved");
    fail(&breaker, 1);
    let to = restored(&breaker, policy());
    let counts = to.counts();
    assert_eq!((counts.calls, counts.failures), (1, 1));
    fail(&to, 1);
    assert_eq!(to.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_restored_with_what_is_left_of_its_wait() {
    let growing = policy().open_for(OpenWait::growing(OPEN, OPEN * 4).jitter(Jitter::None));
    let breaker = growing.breaker("saved");
    fail(&breaker, 2);
    advance(OPEN).await;
    fail(&breaker, 1);
    advance(Duration::from_secs(4)).await;
    let to = restored(&breaker, growing);
    assert_eq!(to.remaining(), Some(Duration::from_secs(6)));
    assert_eq!(to.counts().openings, 2);
    advance(Duration::from_secs(6)).await;
    fail(&to, 1);
    assert_eq!(to.remaining(), Some(OPEN * 4));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_is_restored_to_be_probed_at_once() {
    let breaker = policy().breaker("saved");
    fail(&breaker, 2);
    advance(OPEN).await;
    let _probe = breaker.try_acquire().unwrap();
    let to = restored(&breaker, policy());
    assert_eq!(to.state(), State::Open);
    succeed(&to, 1);
    assert_eq!(to.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_hold_off_is_restored_and_an_isolation_is_not() {
    let breaker = policy().breaker("saved");
    let limited = Fault::new(FaultKind::RateLimited).with_retry_after(OPEN);
    breaker.try_acquire().unwrap().failure(limited);
    assert_eq!(restored(&breaker, policy()).remaining(), Some(OPEN));
    let _isolation = breaker.isolate();
    assert!(restored(&breaker, policy()).try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn buckets_keep_their_age_in_a_window_of_another_length() {
    let wide = policy().window(Window::time(Duration::from_secs(100)));
    let narrow = policy().window(Window::time(Duration::from_secs(20)));
    let breaker = wide.consecutive(n(100)).breaker("saved");
    succeed(&breaker, 1);
    advance(Duration::from_secs(20)).await;
    succeed(&breaker, 2);
    advance(Duration::from_secs(10)).await;
    succeed(&breaker, 4);
    assert_eq!(restored(&breaker, wide).counts().calls, 7);
    assert_eq!(restored(&breaker, narrow).counts().calls, 6);
}

#[tokio::test(start_paused = true)]
async fn the_last_calls_are_restored_in_order() {
    let two = Window::calls(NonZeroU16::new(2).unwrap());
    let last = policy()
        .window(two)
        .consecutive(n(9))
        .failure_rate(Rate::ALL)
        .min_calls(n(9));
    let breaker = last.breaker("saved");
    fail(&breaker, 1);
    succeed(&breaker, 1);
    let to = restored(&breaker, last);
    assert_eq!((to.counts().calls, to.counts().failures), (2, 1));
    succeed(&to, 1);
    assert_eq!(to.counts().failures, 0);
    // The oldest of them are left out where there is no room for all.
    let to = restored(&breaker, last.window(Window::calls(NonZeroU16::MIN)));
    assert_eq!((to.counts().calls, to.counts().failures), (1, 0));
}

#[cfg(feature = "serde")]
mod read {
    use super::*;
    use backstop_circuit_breaker::Snapshot;
    use proptest::prelude::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn what_is_written_is_read() {
        let breaker = policy().breaker("saved");
        fail(&breaker, 1);
        let written = serde_json::to_string(&breaker.snapshot()).unwrap();
        let read: Snapshot = serde_json::from_str(&written).unwrap();
        assert_eq!(read, breaker.snapshot());
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_of_the_future_is_refused() {
        let breaker = policy().breaker("saved");
        let written = serde_json::to_string(&breaker.snapshot()).unwrap();
        let future = written.replace("\"version\":1", "\"version\":2");
        let error = breaker
            .restore(&serde_json::from_str(&future).unwrap())
            .unwrap_err();
        assert_eq!(error.to_string(), "snapshot of version 2, expected 1");
    }

    fn hostile() -> impl Strategy<Value = String> {
        let states = ["closed", "disabled", "forced_open", "metrics_only", "open"];
        let edges = prop_oneof![Just(0_u64), Just(1), Just(u64::MAX), any::<u64>()];
        let small = prop_oneof![Just(0_u32), Just(u32::MAX), any::<u32>()];
        let buckets = prop::collection::vec(prop::array::uniform3(any::<u32>()), 0..30);
        (
            prop::sample::select(states.to_vec()),
            [edges.clone(), edges],
            [small.clone(), small],
            buckets,
            "[fsFSx\u{1f600}]{0,40}",
        )
            .prop_map(|(state, [wait, width], [openings, run], buckets, last)| {
                serde_json::json!({
                    "version": 1, "state": state, "wait_micros": wait, "openings": openings,
                    "consecutive_failures": run, "bucket_micros": width, "buckets": buckets,
                    "last_calls": last,
                })
                .to_string()
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn nothing_that_is_read_does_harm(written in hostile(), calls in 0..20_usize) {
            let two = Window::calls(NonZeroU16::new(2).unwrap());
            for policy in [policy(), policy().window(two), policy().without_failure_rate()] {
                let breaker = policy.slow_calls(OPEN, Rate::HALF).breaker("restored");
                breaker.restore(&serde_json::from_str(&written).unwrap()).unwrap();
                let mut now = Instant::now();
                for _ in 0..calls {
                    now += Duration::from_secs(1);
                    if let Ok(permit) = breaker.try_acquire_at(now) {
                        permit.failure_at(FaultKind::Unavailable, now);
                    }
                }
                let counts = breaker.counts_at(now);
                prop_assert!(counts.failures <= counts.calls);
                breaker.restore(&breaker.snapshot_at(now)).unwrap();
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            let _ = serde_json::from_str::<Snapshot>(&text);
        }
    }
}
