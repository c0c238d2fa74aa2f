//! A call through the whole stack can be dropped wherever it waits, and nothing is left behind.

#![cfg(test)]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use backstop_circuit_breaker::{CircuitBreaker, Policy, State};
use backstop_core::{BoxError, Budget, context};
use backstop_fallback::FallbackLayer;
use backstop_retry::{Jitter, RetryLayer};
use backstop_served_by::{Served, ServedByLayer};
use backstop_timeout::TimeoutLayer;
use tokio::{
    sync::Semaphore,
    time::{advance, sleep},
};
use tower::{Service, ServiceBuilder, ServiceExt, limit::GlobalConcurrencyLimitLayer, service_fn};

const TOKENS: NonZeroU32 = NonZeroU32::new(500).expect("not zero");
const COST: u32 = 14;

/// Everything that a call may take and must give back.
struct Gauges {
    circuit: CircuitBreaker,
    places: Arc<Semaphore>,
    budget: Budget,
    /// Futures of the service that are alive.
    alive: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
}

/// Counts itself while it lives.
struct Alive(Arc<AtomicU32>);

impl Alive {
    fn new(gauge: &Arc<AtomicU32>) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A candidate that waits in several places and then fails, or answers.
fn candidate(
    name: &'static str,
    answers: bool,
) -> (
    impl Service<(), Response = Served<()>, Error = BoxError> + Clone,
    Gauges,
) {
    let breaker = Policy::new().layer(name);
    let gauges = Gauges {
        circuit: breaker.handle(),
        places: Arc::new(Semaphore::new(3)),
        budget: Budget::tokens(TOKENS),
        alive: Arc::default(),
        calls: Arc::default(),
    };
    let (alive, calls) = (gauges.alive.clone(), gauges.calls.clone());
    let service = ServiceBuilder::new()
        .layer(ServedByLayer::new(name).beside())
        .layer(
            RetryLayer::new()
                .jitter(Jitter::None)
                .budget(gauges.budget.clone()),
        )
        .layer(breaker)
        .layer(TimeoutLayer::new().response(Duration::from_millis(100)))
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(
            gauges.places.clone(),
        ))
        .service(service_fn(move |(): ()| {
            let alive = Alive::new(&alive);
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                let _alive = alive;
                tokio::task::yield_now().await;
                // The second attempt runs out of time.
                sleep(Duration::from_millis(if call == 1 { 200 } else { 20 })).await;
                tokio::task::yield_now().await;
                answers.then_some(()).ok_or_else(|| "down".into())
            }
        }));
    (service, gauges)
}

fn assert_given_back(gauges: &Gauges, at: usize) {
    assert_eq!(
        gauges.places.available_permits(),
        3,
        "dropped after {at} polls"
    );
    assert_eq!(
        gauges.alive.load(Ordering::Relaxed),
        0,
        "dropped after {at} polls"
    );
    let counts = gauges.circuit.counts();
    assert_eq!(counts.probes, 0, "dropped after {at} polls");
    assert_eq!(counts.slow_in_flight, 0, "dropped after {at} polls");
    // Only attempts that were made have cost anything.
    let further = gauges.calls.load(Ordering::Relaxed).saturating_sub(1);
    let left = f64::from(TOKENS.get() - further * COST);
    assert_eq!(gauges.budget.balance(), left, "dropped after {at} polls");
    // And the thread has forgotten the call.
    assert!(context::deadline().is_none());
    assert!(!context::alternatives() && !context::has_failed());
    assert_eq!(context::attempt(), 0);
}

/// Polls a call so many times, the clock going on in between, and drops it. False once the call
/// has come to its end before that.
async fn drop_after(polls: usize, probing: bool) -> bool {
    let (first, of_first) = candidate("first", false);
    let (backup, of_backup) = candidate("backup", true);
    if probing {
        for gauges in [&of_first, &of_backup] {
            gauges.circuit.open_for(Duration::ZERO);
        }
    }
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(10)))
        .layer(FallbackLayer::new(backup))
        .service(first);
    let mut call = tokio_test::task::spawn(service.oneshot(()));
    let mut ended = false;
    for _ in 0..polls {
        if call.poll().is_ready() {
            ended = true;
            break;
        }
        advance(Duration::from_millis(10)).await;
    }
    drop(call);
    for gauges in [&of_first, &of_backup] {
        assert_given_back(gauges, polls);
        // A caller who left has failed nobody: a circuit has opened only for what it saw.
        if !probing {
            assert_eq!(gauges.circuit.state(), State::Closed);
        }
    }
    !ended
}

async fn drop_everywhere(probing: bool) -> usize {
    let mut polls = 0;
    while drop_after(polls, probing).await {
        polls += 1;
        assert!(polls < 10_000, "the call never ends");
    }
    polls
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_point_gives_everything_back() {
    // There are attempts, a wait, and a second candidate to be dropped in.
    assert!(drop_everywhere(false).await > 15);
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_at_any_point_gives_its_place_back() {
    assert!(drop_everywhere(true).await > 3);
}
