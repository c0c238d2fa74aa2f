//! The five layers in the order that is recommended, over services of plain types.

#![cfg(test)]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use backstop_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, State};
use backstop_core::{BoxError, Elapsed, Exhausted, FaultKind, Limit, Open, context};
use backstop_fallback::FallbackLayer;
use backstop_retry::{Jitter, RetryLayer};
use backstop_served_by::{Served, ServedByLayer};
use backstop_timeout::TimeoutLayer;
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a candidate does.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    /// Fails after so long.
    Fail(Duration),
    Hang,
}

/// A candidate with the layers that belong to it, its circuit, and how often it was called.
fn candidate(
    name: &'static str,
    does: Does,
) -> (
    impl Service<u32, Response = Served<u32>, Error = BoxError> + Clone,
    CircuitBreaker,
    Arc<AtomicU32>,
) {
    let calls = Arc::new(AtomicU32::new(0));
    let breaker = CircuitBreakerLayer::new(name);
    let circuit = breaker.handle();
    let counter = calls.clone();
    let service = ServiceBuilder::new()
        .layer(ServedByLayer::new(name).beside())
        .layer(
            RetryLayer::new()
                .attempts(NonZeroU32::new(2).unwrap())
                .jitter(Jitter::None)
                .backoff(std::iter::repeat(ms(100))),
        )
        .layer(breaker)
        .layer(TimeoutLayer::new().response(ms(1_000)))
        .service(service_fn(move |n: u32| {
            counter.fetch_add(1, Ordering::Relaxed);
            async move {
                match does {
                    Does::Answer => Ok::<_, BoxError>(n + 1),
                    Does::Fail(after) => {
                        sleep(after).await;
                        Err("down".into())
                    }
                    Does::Hang => std::future::pending().await,
                }
            }
        }));
    (service, circuit, calls)
}

/// The whole stack over two candidates.
fn stack<S, B>(
    first: S,
    backup: B,
) -> impl Service<u32, Response = Served<u32>, Error = BoxError> + Clone
where
    S: Service<u32, Response = Served<u32>, Error = BoxError> + Clone,
    B: Service<u32, Response = Served<u32>, Error = BoxError> + Clone,
{
    ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(ms(5_000)))
        .layer(FallbackLayer::new(backup))
        .service(first)
}

#[tokio::test(start_paused = true)]
async fn a_healthy_first_candidate_answers_and_nothing_is_on_the_trail() {
    let (first, _, calls) = candidate("first", Does::Answer);
    let (backup, _, spared) = candidate("backup", Does::Answer);
    let served = stack(first, backup).oneshot(41).await.unwrap();
    assert_eq!(served.response, 42);
    assert_eq!(&*served.served_by.name, "first");
    assert!(served.served_by.trail.is_empty());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(spared.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_on_the_way_is_told_with_its_name_its_wait_and_how_long_it_took() {
    let (first, ..) = candidate("first", Does::Fail(ms(30)));
    let (backup, ..) = candidate("backup", Does::Answer);
    let (served, trail) = context::traced(stack(first, backup).oneshot(1)).await;
    assert_eq!(&*served.unwrap().served_by.name, "backup");
    let told: Vec<_> = trail
        .attempts()
        .iter()
        .map(|it| (it.candidate.as_deref(), it.number, it.wait, it.duration))
        .collect();
    assert_eq!(
        told,
        [
            (Some("first"), 1, ms(0), ms(30)),
            (Some("first"), 2, ms(100), ms(30)),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_backup_is_asked_the_instant_that_the_last_attempt_has_failed() {
    let (first, ..) = candidate("first", Does::Fail(ms(30)));
    let (backup, ..) = candidate("backup", Does::Answer);
    let start = Instant::now();
    stack(first, backup).oneshot(1).await.unwrap();
    // Two attempts and the one wait between them.
    assert_eq!(start.elapsed(), ms(160));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_not_tried_again_but_failed_over() {
    let (first, circuit, calls) = candidate("first", Does::Hang);
    let (backup, ..) = candidate("backup", Does::Answer);
    let start = Instant::now();
    let served = stack(first, backup).oneshot(1).await.unwrap();
    assert_eq!(start.elapsed(), ms(1_000));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(circuit.counts().consecutive_failures, 1);
    let trail = served.served_by.trail;
    assert_eq!(trail.last().unwrap().fault.kind(), FaultKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_passed_over_without_a_call_or_a_wait() {
    let (first, circuit, calls) = candidate("first", Does::Answer);
    let (backup, ..) = candidate("backup", Does::Answer);
    circuit.open_for(Duration::from_secs(41));
    let start = Instant::now();
    let served = stack(first, backup).oneshot(1).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let trail = served.served_by.trail;
    assert_eq!(trail.attempted(), 0);
    assert_eq!(trail.to_string(), "first circuit open, retry in 41 s");
}

#[tokio::test(start_paused = true)]
async fn when_all_have_failed_the_error_tells_of_each_and_leads_to_the_last() {
    let (first, circuit, _) = candidate("first", Does::Answer);
    circuit.open_for(Duration::from_secs(41));
    let (backup, ..) = candidate("backup", Does::Fail(ms(212)));
    let error = stack(first, backup).oneshot(1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "all 2 candidates failed: first circuit open, retry in 41 s; \
         backup unavailable after 212 ms; backup unavailable after 212 ms"
    );
    let exhausted: &Exhausted = error.downcast_ref().unwrap();
    assert_eq!(exhausted.retry_after(), Some(Duration::from_secs(41)));
    let last = std::error::Error::source(exhausted).unwrap();
    assert_eq!(last.to_string(), "down");
}

#[tokio::test(start_paused = true)]
async fn the_limit_on_the_whole_call_holds_over_attempts_and_candidates() {
    let (first, ..) = candidate("first", Does::Hang);
    let (backup, circuit, _) = candidate("backup", Does::Hang);
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(ms(1_500)))
        .layer(FallbackLayer::new(backup))
        .service(first);
    let start = Instant::now();
    let error = service.oneshot(1).await.unwrap_err();
    assert_eq!(start.elapsed(), ms(1_500));
    let elapsed: &Elapsed = error.downcast_ref().unwrap();
    assert_eq!(elapsed.limit(), Limit::Total);
    // What had been tried is on the error, the attempt that had no time left included.
    assert_eq!(elapsed.trail().candidates(), 2);
    assert_eq!(circuit.counts().consecutive_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn five_outer_timeouts_over_a_hanging_service_open_its_circuit() {
    let (service, circuit, _) = candidate("hangs", Does::Hang);
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(ms(50)))
        .service(service);
    for _ in 0..5 {
        let error = service.clone().oneshot(1).await.unwrap_err();
        assert!(error.is::<Elapsed>());
    }
    assert_eq!(circuit.state(), State::Open);
    let error = service.oneshot(1).await.unwrap_err();
    assert!(error.is::<Open>(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn calls_on_one_task_don_t_mix_their_trails() {
    let (first, ..) = candidate("first", Does::Fail(ms(30)));
    let (backup, ..) = candidate("backup", Does::Fail(ms(20)));
    let service = stack(first, backup);
    let (one, two) = tokio::join!(
        context::traced(service.clone().oneshot(1)),
        context::traced(service.oneshot(2)),
    );
    for (result, trail) in [one, two] {
        assert!(result.is_err());
        assert_eq!(trail.attempts().len(), 4, "{trail}");
        assert_eq!(trail.candidates(), 2);
    }
}
