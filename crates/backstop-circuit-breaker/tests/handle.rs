//! A circuit read, ordered about, listened to, kept over a restart, and one of many.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::{Arc, Mutex},
    time::Duration,
};

use backstop_circuit_breaker::{
    Cause, CircuitBreaker, FaultKind, Jitter, Listener, OpenWait, Policy, Rate, Registry, State,
    Transition, Window,
};
use backstop_core::{Fault, Name};
use tokio::time::{Instant, advance};

const OPEN: Duration = Duration::from_secs(5);

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn policy() -> Policy {
    Policy::new()
        .consecutive(n(2))
        .open_for(OpenWait::fixed(OPEN).jitter(Jitter::None))
}

fn fail<L: Listener>(breaker: &CircuitBreaker<L>, times: usize) {
    for _ in 0..times {
        breaker
            .try_acquire()
            .unwrap()
            .failure(FaultKind::Unavailable);
    }
}

fn succeed<L: Listener>(breaker: &CircuitBreaker<L>, times: usize) {
    for _ in 0..times {
        breaker.try_acquire().unwrap().success();
    }
}

// ===== Orders =====

#[tokio::test(start_paused = true)]
async fn is_isolated_until_the_last_guard_is_gone() {
    let breaker = policy().breaker("orders");
    let first = breaker.isolate();
    let second = breaker.isolate();
    let open = breaker.try_acquire().unwrap_err();
    assert_eq!((open.reason(), open.retry_after()), ("isolated", None));
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

// ===== Listening =====

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Listener for Log {
    fn on_transition(&self, name: &Name, transition: &Transition) {
        self.write(format!("{name}: {transition}"));
    }

    fn on_exceeded(&self, name: &Name, cause: Cause) {
        self.write(format!("{name}: exceeded, {cause}"));
    }

    fn on_refused(&self, name: &Name, reason: &'static str) {
        self.write(format!("{name}: refused, {reason}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_each_transition_once_and_of_refusals() {
    let log = Log::default();
    let breaker = policy().listener(log.clone()).breaker("heard");
    fail(&breaker, 2);
    assert!(breaker.try_acquire().is_err());
    advance(OPEN).await;
    succeed(&breaker, 1);
    let expected = [
        "heard: closed to open: consecutive failures",
        "heard: refused, circuit open",
        "heard: open to half-open: wait over",
        "heard: half-open to closed: probes succeeded",
    ];
    assert_eq!(log.take(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_changes_nothing_tells_nothing() {
    let log = Log::default();
    let breaker = policy().listener(log.clone()).breaker("heard");
    breaker.close();
    breaker.reset();
    breaker.disable();
    breaker.disable();
    assert_eq!(log.take(), ["heard: closed to disabled: by hand"]);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_only_counts_tells_once_that_it_would_have_opened() {
    let log = Log::default();
    let breaker = policy().listener(log.clone()).breaker("heard");
    breaker.metrics_only();
    fail(&breaker, 20);
    assert_eq!(breaker.counts().failures, 20);
    let expected = [
        "heard: closed to metrics only: by hand",
        "heard: exceeded, consecutive failures",
    ];
    assert_eq!(log.take(), expected);
}

/// Orders the circuit about from within its own listener.
#[derive(Clone, Default)]
struct Meddler {
    log: Log,
    circuit: Arc<Mutex<Option<CircuitBreaker<Meddler>>>>,
}

impl Listener for Meddler {
    fn on_transition(&self, name: &Name, transition: &Transition) {
        self.log.on_transition(name, transition);
        let circuit = self.circuit.lock().unwrap().take();
        if let Some(circuit) = circuit {
            assert_eq!(circuit.state(), transition.to);
            circuit.reset();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_ask_the_circuit_and_change_it() {
    let meddler = Meddler::default();
    let breaker = policy().listener(meddler.clone()).breaker("heard");
    *meddler.circuit.lock().unwrap() = Some(breaker.clone());
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Closed);
    let expected = [
        "heard: closed to open: consecutive failures",
        "heard: open to closed: by hand",
    ];
    assert_eq!(meddler.log.take(), expected);
}

/// Panics at the first transition.
#[derive(Clone, Default)]
struct Fragile(Log);

impl Listener for Fragile {
    fn on_transition(&self, name: &Name, transition: &Transition) {
        let first = self.0.0.lock().unwrap().is_empty();
        self.0.on_transition(name, transition);
        if first {
            std::panic::resume_unwind(Box::new("the listener fell over"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_does_not_keep_the_rest_from_being_told() {
    let fragile = Fragile::default();
    let breaker = policy().listener(fragile.clone()).breaker("heard");
    let order = std::panic::AssertUnwindSafe(|| breaker.open_for(OPEN));
    std::panic::catch_unwind(order).unwrap_err();
    breaker.reset();
    assert_eq!(fragile.0.take().len(), 2);
}

// ===== Snapshots =====

fn restored(from: &CircuitBreaker, policy: Policy) -> CircuitBreaker {
    let to = policy.breaker("restored");
    to.restore(&from.snapshot()).unwrap();
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
    let two = Window::calls(std::num::NonZeroU16::new(2).unwrap());
    let last = policy()
        .window(two)
        .consecutive(n(9))
        .failure_rate(Rate::ALL)
        .min_calls(n(9));
    let breaker = last.breaker("saved");
    fail(&breaker, 1);
    succeed(&breaker, 1);
    let to = restored(&breaker, last);
    succeed(&to, 1);
    assert_eq!(to.counts().failures, 0);
}

#[cfg(feature = "serde")]
mod read {
    use super::*;
    use backstop_circuit_breaker::Snapshot;
    use proptest::prelude::*;

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
            let two = Window::calls(std::num::NonZeroU16::new(2).unwrap());
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

// ===== The registry =====

fn named(key: &u32) -> Name {
    format!("circuit {key}").into()
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_circuit_of_its_own() {
    let circuits = Registry::new(policy(), named);
    fail(&circuits.breaker(&1), 2);
    assert_eq!(circuits.breaker(&1).state(), State::Open);
    assert_eq!(circuits.layer(&2).handle().state(), State::Closed);
    assert_eq!(circuits.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn drops_the_one_least_recently_asked_for_that_is_as_new() {
    let circuits = Registry::new(policy(), named).limit(NonZeroUsize::new(3).unwrap());
    fail(&circuits.breaker(&1), 2);
    let held = circuits.breaker(&2);
    drop(circuits.breaker(&3));
    drop(circuits.breaker(&4));
    let mut keys: Vec<_> = circuits
        .breakers()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, [1, 2, 4]);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn where_none_can_be_dropped_new_keys_share_one() {
    let circuits = Registry::new(policy(), named).limit(NonZeroUsize::new(2).unwrap());
    for key in [1, 2] {
        fail(&circuits.breaker(&key), 2);
    }
    let [shared, other] = [3, 4].map(|key| circuits.breaker(&key));
    fail(&shared, 2);
    assert_eq!(other.state(), State::Open);
    assert_eq!(&**other.name(), "overflow");
    assert_eq!((circuits.len(), circuits.overflowed()), (2, 2));
    assert_eq!(circuits.breaker(&1).state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_never_printed() {
    let circuits = Registry::new(policy(), |_: &String| Name::from("provider"));
    let _circuit = circuits.breaker(&"sk-secret".to_owned());
    assert!(!format!("{circuits:?}").contains("secret"));
}
