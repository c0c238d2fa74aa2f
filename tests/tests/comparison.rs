//! What a set of such layers is to be held against. Each promise is a test: here where it crosses
//! crates or has no better place, else in the crate that makes it.
//!
//! | promise | test |
//! |---|---|
//! | a full window of successes does not hide a later run of failures | here |
//! | results that come late move nothing | `late_…`, `a_late_…` in `backstop-circuit-breaker/tests/machine` |
//! | a probe that is dropped, hangs or panics wedges nothing | `a_dropped_probe_…`, `a_probe_that_hangs_…`, `a_panic_…` there and in `service.rs` |
//! | of a hundred callers of a half-open circuit only the permitted ones pass | `only_as_many_probes_pass_as_are_permitted` there; with threads, case `reg-08` |
//! | calls cut by a timeout further out count | `fifty_calls_cut_by_a_deadline_further_out_open_the_circuit` there |
//! | a service that can't become ready has failed | `a_service_found_not_ready_for_good_has_failed` there |
//! | one layer is one state, on twenty connections of `axum::serve` | `axum.rs` |
//! | layers are `Clone`, `Send` and `Sync` whatever the request, response and error are | here |
//! | time can be paused, for all that waits | here |
//! | a body that breaks off is a failure, a reader who leaves is neutral | `clients.rs`, `tonic` |
//! | size hint, end and trailers of a body are untouched | `size_hint_end_and_trailers_are_the_bodys_own` in `backstop-timeout/tests/tail.rs`; `clients.rs` |
//! | a slow reader is not an idle service, and a stalled one is found | `a_slow_reader_…`, `a_stalled_service_…` there |
//! | a Retry-After beyond the cap is not waited for; one in the past or unreadable hurries nobody | `beyond_the_cap_…` in `backstop-retry/tests`; `backstop-core/tests/retry_hint.rs` |
//! | a budget of 60 % is one of 60 %, also for sixteen threads | here |
//! | a response is dropped before the wait | `the_response_is_dropped_before_the_wait` in `backstop-retry/tests` |
//! | what can't be cloned is sent exactly once | `a_request_that_cannot_be_copied_is_sent_exactly_once_…` there |
//! | `source()` leads to the client's own error | `tonic`, `clients.rs` |
//! | a limit fires over a future that never yields to the scheduler | here, through the stack |
//! | a call that succeeds allocates nothing | `cargo bench -p backstop-peers -- check` |
//! | a service that is not `Send` will do | `local.rs` |
//! | the innermost stamp wins, and is there before the first byte | `the_innermost_wins_…`, `says_it_before_…` in `backstop-served-by/tests` |

#![cfg(test)]

use std::{future::poll_fn, num::NonZeroU16, task::Poll, time::Duration};

use backstop_circuit_breaker::{CircuitBreakerLayer, Policy, State, Window};
use backstop_core::{AbsorbLayer, BoxError, Budget, Elapsed, FaultKind};
use backstop_fallback::FallbackLayer;
use backstop_retry::RetryLayer;
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

#[test]
fn a_full_window_of_successes_does_not_hide_a_later_run_of_failures() {
    let ten = NonZeroU16::new(10).unwrap();
    let breaker = Policy::new()
        .without_consecutive()
        .window(Window::calls(ten))
        .breaker("window");
    for _ in 0..10_000 {
        breaker.try_acquire().unwrap().success();
    }
    for failure in 1..=10 {
        match breaker.try_acquire() {
            Ok(permit) => permit.failure(FaultKind::Unavailable),
            // Half of the window is enough.
            Err(_) => assert!(failure > 5),
        }
    }
    assert_eq!(breaker.state(), State::Open);
}

/// Neither cloned nor compared, and no thread but its own may see it.
struct Own(#[expect(dead_code, reason = "it only has to be there")] *const ());

#[test]
fn layers_can_be_shared_between_threads_whatever_passes_through_them() {
    fn shared<L: Clone + Send + Sync + 'static>(layer: L) -> L {
        layer
    }
    fn serves<S: Service<Own, Response = Own, Error = BoxError>>(service: S) -> S {
        service
    }
    let inner = service_fn(|own: Own| async { Ok::<_, BoxError>(own) });
    let layers = shared(
        ServiceBuilder::new()
            .layer(TimeoutLayer::new().total(Duration::from_secs(1)))
            .layer(RetryLayer::new().clone_request_fn(|_: &Own| None))
            .layer(CircuitBreakerLayer::new("own"))
            .layer(TimeoutLayer::new().response(Duration::from_secs(1)))
            .into_inner(),
    );
    serves(layers.layer(inner));
    shared(ServedByLayer::new("own").beside());
    shared(FallbackLayer::new(service_fn(|(): ()| async {
        Ok::<_, BoxError>(())
    })));
    shared(AbsorbLayer::new(layers, |_: BoxError| ()));
}

#[tokio::test(start_paused = true)]
async fn hours_of_waiting_pass_at_once_while_the_clock_is_paused() {
    let hour = Duration::from_secs(3_600);
    let breaker = CircuitBreakerLayer::new("paused");
    breaker.handle().open_for(hour);
    let circuit = breaker.handle();
    let backup = service_fn(|(): ()| std::future::pending::<Result<(), BoxError>>());
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(24 * hour))
        .layer(FallbackLayer::new(backup))
        .layer(RetryLayer::new().backoff(std::iter::repeat(hour)))
        .layer(breaker)
        .service(service_fn(|(): ()| async {
            Err::<(), BoxError>("down".into())
        }));
    let start = Instant::now();
    service.oneshot(()).await.unwrap_err();
    assert_eq!(start.elapsed(), 24 * hour);
    assert_eq!(circuit.remaining(), None);
    circuit.try_acquire().unwrap().success();
    assert_eq!(circuit.state(), State::Closed);
}

#[test]
fn a_budget_of_sixty_percent_grants_sixty_percent_to_sixteen_threads() {
    const CALLS: usize = 10_000;
    let budget = Budget::ratio(0.6).unwrap().initial(0);
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    (0..CALLS)
                        .filter(|_| {
                            budget.deposit();
                            let withdrawal = budget.try_withdraw(FaultKind::Unavailable);
                            withdrawal.map(|it| it.spend()).is_some()
                        })
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    let most = CALLS * 16 * 6 / 10;
    assert!(granted <= most, "{granted}");
    // No more is lost than what is left in the bucket.
    assert!(granted + 100 >= most, "{granted}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_fires_through_the_stack_over_a_future_that_never_yields_to_the_scheduler() {
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_millis(50)))
        .layer(ServedByLayer::new("greedy").beside())
        .layer(RetryLayer::new())
        .layer(CircuitBreakerLayer::new("greedy"))
        .service(service_fn(|(): ()| {
            poll_fn(|cx| {
                // As a busy connection does: takes all that the task may do at once, every time,
                // and asks to be polled again.
                let greedy = std::pin::pin!(async {
                    loop {
                        tokio::task::consume_budget().await;
                    }
                });
                let poll: Poll<Result<(), BoxError>> = greedy.poll(cx);
                assert!(poll.is_pending());
                poll
            })
        }));
    let call = tokio::spawn(service.oneshot(()));
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_millis(60)).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(call.is_finished());
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
}
