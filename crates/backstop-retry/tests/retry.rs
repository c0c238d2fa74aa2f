//! When a call is tried again, and what is returned when it is not.

use std::{
    cell::{Cell, RefCell},
    future::{Future, ready},
    num::NonZeroU32,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{
    BoxError, Classify, Fault, FaultKind, FaultKinds, Open, Reason, Verdict, classify_fn, context,
};
use backstop_retry::{Budget, Jitter, Retry, RetryLayer};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use tower_test::{assert_request_eq, mock};

const UNAVAILABLE: FaultKind = FaultKind::Unavailable;

fn attempts(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not zero")
}

/// A layer whose waits are known, over services whose errors are faults.
fn plain() -> RetryLayer<impl Classify<u32, Fault> + Clone + std::fmt::Debug> {
    RetryLayer::new()
        .jitter(Jitter::None)
        .classify(classify_fn(|result: Result<&u32, &Fault>| match result {
            Ok(_) => Verdict::Success,
            Err(fault) => Verdict::Failure(*fault),
        }))
}

/// Fails with these faults in turn, then answers with the number of calls it has had.
fn failing<I>(
    faults: I,
) -> (
    impl Service<(), Response = u32, Error = Fault> + Clone,
    Rc<Cell<u32>>,
)
where
    I: IntoIterator<Item = Fault>,
{
    let faults = Rc::new(RefCell::new(faults.into_iter().collect::<Vec<_>>()));
    faults.borrow_mut().reverse();
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let service = service_fn(move |()| {
        count.set(count.get() + 1);
        ready(match faults.borrow_mut().pop() {
            Some(fault) => Err(fault),
            None => Ok(count.get()),
        })
    });
    (service, calls)
}

fn all(kind: FaultKind) -> [Fault; 9] {
    [Fault::new(kind); 9]
}

#[tokio::test(start_paused = true)]
async fn passes_a_response_through_without_a_wait() {
    let (mut service, mut handle) = mock::spawn_layer::<&str, &str, _>(RetryLayer::new());
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call("hello"));
    assert_pending!(response.poll());
    assert_request_eq!(handle, "hello").send_response("world");
    assert_eq!(assert_ready_ok!(response.poll()), "world");
}

#[tokio::test(start_paused = true)]
async fn passes_an_error_of_readiness_through() {
    let (mut service, mut handle) = mock::spawn_layer::<(), (), _>(RetryLayer::new());
    handle.send_error("gone");
    let error = assert_ready!(service.poll_ready()).unwrap_err();
    assert_eq!(error.to_string(), "gone");
}

#[tokio::test(start_paused = true)]
async fn tries_again_after_waits_that_double() {
    let (service, calls) = failing([Fault::new(UNAVAILABLE); 2]);
    let start = Instant::now();
    let service = plain().layer(service);
    assert_eq!(service.oneshot(()).await, Ok(3));
    assert_eq!(start.elapsed(), Duration::from_millis(50 + 100));
    assert_eq!(calls.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn returns_the_last_error_unchanged_and_does_not_wait_after_the_last_attempt() {
    let (service, calls) = failing([
        Fault::new(UNAVAILABLE),
        Fault::new(UNAVAILABLE),
        Fault::new(FaultKind::Connect).with_status(7),
    ]);
    let start = Instant::now();
    let error = plain().layer(service).oneshot(()).await.unwrap_err();
    assert_eq!(error, Fault::new(FaultKind::Connect).with_status(7));
    assert_eq!(start.elapsed(), Duration::from_millis(50 + 100));
    assert_eq!(calls.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_single_attempt_is_never_tried_again_nor_its_request_cloned() {
    let (service, calls) = failing(all(UNAVAILABLE));
    let layer = plain()
        .attempts(attempts(1))
        .clone_request_fn(|_: &()| -> Option<()> { panic!("cloned in vain") });
    assert!(layer.layer(service).oneshot(()).await.is_err());
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_failure_is_tried_again_or_not_as_the_table_says() {
    for kind in FaultKind::ALL {
        let expected = match kind {
            FaultKind::Connect
            | FaultKind::Malformed
            | FaultKind::Overloaded
            | FaultKind::Unavailable => 3,
            _ => 1,
        };
        let (service, calls) = failing(all(kind));
        let start = Instant::now();
        assert!(plain().layer(service).oneshot(()).await.is_err());
        assert_eq!(calls.get(), expected, "{kind}");
        assert_eq!(start.elapsed().is_zero(), expected == 1, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_kinds_can_be_replaced_but_for_those_that_are_never_tried_again() {
    for kind in FaultKind::ALL {
        let expected = match kind {
            FaultKind::Refused | FaultKind::Interrupted => 1,
            _ => 3,
        };
        let (service, calls) = failing(all(kind));
        let layer = plain().on(FaultKinds::ALL).on_hint(FaultKinds::ALL);
        assert!(layer.layer(service).oneshot(()).await.is_err());
        assert_eq!(calls.get(), expected, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_not_retried_and_its_error_is_kept() {
    let calls = Cell::new(0);
    let open = || Open::new("search".into(), Reason::Open, Some(Duration::from_secs(3)));
    let service = service_fn(|()| {
        calls.set(calls.get() + 1);
        context::leave_fault(open().fault());
        ready(Err::<(), BoxError>(open().into()))
    });
    let start = Instant::now();
    // The classifier takes every error for a transient one: the fault left behind says better.
    let service = RetryLayer::new().layer(service);
    let (result, trail) = context::traced(service.oneshot(())).await;
    let error = result.unwrap_err();
    assert_eq!(calls.get(), 1);
    assert!(start.elapsed().is_zero());
    let retry_after = error.downcast_ref::<Open>().unwrap().retry_after();
    assert_eq!(retry_after, Some(Duration::from_secs(3)));
    // Nobody was asked, so it was no attempt.
    assert_eq!(trail.attempted(), 0);
    assert_eq!(trail.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_last_response_is_returned_as_it_is() {
    let calls = Cell::new(0);
    let service = service_fn(|()| {
        calls.set(calls.get() + 1);
        ready(Ok::<_, BoxError>(503 + calls.get()))
    });
    let layer = RetryLayer::new().classify(classify_fn(|_: Result<&u32, &BoxError>| {
        Verdict::Failure(Fault::new(UNAVAILABLE))
    }));
    assert_eq!(layer.layer(service).oneshot(()).await.unwrap(), 506);
}

#[tokio::test(start_paused = true)]
async fn a_neutral_result_is_not_tried_again() {
    let calls = Cell::new(0);
    let service = service_fn(|()| {
        calls.set(calls.get() + 1);
        ready(Err::<u32, BoxError>("cancelled".into()))
    });
    let layer =
        RetryLayer::new().classify(classify_fn(|_: Result<&u32, &BoxError>| Verdict::Neutral));
    assert!(layer.layer(service).oneshot(()).await.is_err());
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_response_is_dropped_before_the_wait() {
    let held = Arc::new(());
    let service = service_fn(|()| ready(Ok::<_, BoxError>(held.clone())));
    let layer = RetryLayer::new().classify(classify_fn(|_: Result<&Arc<()>, &BoxError>| {
        Verdict::Failure(Fault::new(UNAVAILABLE))
    }));
    let mut call = task::spawn(layer.layer(service).oneshot(()));
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn the_inner_future_is_dropped_before_the_wait() {
    let held = Arc::new(());
    let service = service_fn(|()| {
        let held = held.clone();
        async move {
            sleep(Duration::from_millis(5)).await;
            drop(held.clone());
            Err::<(), BoxError>("down".into())
        }
    });
    let mut call = task::spawn(
        RetryLayer::new()
            .jitter(Jitter::None)
            .layer(service)
            .oneshot(()),
    );
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&held), 2);
    sleep(Duration::from_millis(10)).await;
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn nested_retries_do_not_multiply() {
    let (service, calls) = failing(all(UNAVAILABLE));
    let service = ServiceBuilder::new()
        .layer(plain())
        .layer(plain().attempts(attempts(5)))
        .layer(plain())
        .service(service);
    let (result, trail) = context::traced(service.oneshot(())).await;
    assert!(result.is_err());
    assert_eq!(calls.get(), 3);
    let numbers: Vec<_> = trail.attempts().iter().map(|it| it.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn the_attempt_is_marked_for_what_is_further_in() {
    let seen = RefCell::new(Vec::new());
    let service = service_fn(|()| {
        seen.borrow_mut().push(context::attempt());
        let seen = &seen;
        async move {
            seen.borrow_mut().push(context::attempt());
            Err::<(), BoxError>("down".into())
        }
    });
    assert!(RetryLayer::new().layer(service).oneshot(()).await.is_err());
    assert_eq!(*seen.borrow(), [1, 1, 2, 2, 3, 3]);
    assert_eq!(context::attempt(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_failed_attempt_is_on_the_trail_with_its_duration_and_the_wait_before_it() {
    let service = service_fn(|()| async {
        sleep(Duration::from_millis(7)).await;
        Err::<(), BoxError>("down".into())
    });
    let service = RetryLayer::new().jitter(Jitter::None).layer(service);
    let (result, trail) = context::traced(service.oneshot(())).await;
    assert!(result.is_err());
    let attempts: Vec<_> = trail
        .attempts()
        .iter()
        .map(|it| (it.number, it.duration.as_millis(), it.wait.as_millis()))
        .collect();
    assert_eq!(attempts, [(1, 7, 0), (2, 7, 50), (3, 7, 100)]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_was_put_right_is_on_the_trail_as_well() {
    let (service, _) = failing([Fault::new(UNAVAILABLE)]);
    let (result, trail) = context::traced(plain().layer(service).oneshot(())).await;
    assert_eq!(result, Ok(2));
    assert_eq!(trail.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bound_on_the_whole_call_ends_the_retrying() {
    let (service, calls) = failing(all(UNAVAILABLE));
    let service = plain().attempts(attempts(9)).layer(service);
    let mut call = Box::pin(context::traced(service.oneshot(())));
    let bounded = std::future::poll_fn(|cx| {
        let _bound = context::enter_bound(attempts(2));
        call.as_mut().poll(cx)
    });
    assert!(bounded.await.0.is_err());
    assert_eq!(calls.get(), 2);
}

/// Always fails; ready only as often as it is told to be.
#[derive(Clone)]
struct Reluctant {
    left: Rc<Cell<u32>>,
    calls: Rc<Cell<u32>>,
    error: Option<&'static str>,
}

impl Service<()> for Reluctant {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.left.get() {
            0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            left => {
                self.left.set(left - 1);
                Poll::Ready(Ok(()))
            }
        }
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        ready(match self.error {
            Some(error) => Err(error.into()),
            None => Ok(self.calls.get()),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn returns_the_last_error_rather_than_queue_for_a_service_that_is_not_ready() {
    let service = Reluctant {
        left: Rc::new(Cell::new(2)),
        calls: Rc::default(),
        error: Some("down"),
    };
    let calls = service.calls.clone();
    let error = RetryLayer::new().layer(service).oneshot(()).await;
    assert_eq!(error.unwrap_err().to_string(), "down");
    assert_eq!(calls.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn returns_the_last_response_rather_than_queue_for_a_service_that_is_not_ready() {
    let service = Reluctant {
        left: Rc::new(Cell::new(1)),
        calls: Rc::default(),
        error: None,
    };
    let layer = RetryLayer::new().classify(classify_fn(|_: Result<&u32, &BoxError>| {
        Verdict::Failure(Fault::new(UNAVAILABLE))
    }));
    let start = Instant::now();
    assert_eq!(layer.layer(service).oneshot(()).await.unwrap(), 1);
    assert!(start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_not_made_is_not_paid_for_even_if_the_call_is_kept() {
    // What is ready at first, for a first attempt and its further ones; and what has been sent.
    for (left, error, further) in [(2, Some("down"), 1.0), (1, None, 0.0)] {
        let budget = Budget::tokens(100.try_into().unwrap());
        let service = Reluctant {
            left: Rc::new(Cell::new(left)),
            calls: Rc::default(),
            error,
        };
        let layer = RetryLayer::new().budget(budget.clone());
        let layer = layer.classify(classify_fn(|_: Result<&u32, &BoxError>| {
            Verdict::Failure(Fault::new(UNAVAILABLE))
        }));
        let mut service = layer.layer(service);
        let mut call = pin!(service.ready().await.unwrap().call(()));
        assert_eq!(call.as_mut().await.is_err(), error.is_some());
        assert_eq!(budget.balance(), 100.0 - 14.0 * further);
    }
}

#[tokio::test(start_paused = true)]
async fn no_place_is_held_while_waiting() {
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new().jitter(Jitter::None).classify(classify_fn(
            |_: Result<&(), &BoxError>| Verdict::Failure(Fault::new(UNAVAILABLE)),
        )))
        .layer(ConcurrencyLimitLayer::new(1))
        .service_fn(|()| ready(Ok::<_, BoxError>(())));
    let mut waiting = task::spawn(service.clone().oneshot(()));
    assert_pending!(waiting.poll());
    let mut other = service;
    let ready = task::spawn(std::future::poll_fn(|cx| {
        Service::<()>::poll_ready(&mut other, cx)
    }))
    .poll();
    assert_ready_ok!(ready);
}

#[tokio::test(start_paused = true)]
async fn calls_the_service_that_was_made_ready_and_waits_for_readiness_before_each_attempt() {
    // The limit panics if it is called without having been ready.
    let calls = Cell::new(0);
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn(|()| {
            calls.set(calls.get() + 1);
            ready(Err::<(), BoxError>("down".into()))
        }));
    assert!(service.clone().oneshot(()).await.is_err());
    assert!(service.oneshot(()).await.is_err());
    assert_eq!(calls.get(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_fault_left_behind_an_error_that_was_put_right_is_gone() {
    let calls = Cell::new(0);
    let service = service_fn(|()| {
        calls.set(calls.get() + 1);
        ready(match calls.get() {
            1 => {
                context::leave_fault(Fault::new(FaultKind::Connect));
                Err::<(), BoxError>("down".into())
            }
            _ => Ok(()),
        })
    });
    let service = RetryLayer::new().layer(service);
    let (result, trail) = context::traced(service.oneshot(())).await;
    assert!(result.is_ok());
    assert_eq!(context::fault(), None);
    assert_eq!(trail.attempts()[0].fault.kind(), FaultKind::Connect);
}

#[tokio::test(start_paused = true)]
async fn calls_of_clones_do_not_mix() {
    let (service, calls) = failing(all(UNAVAILABLE));
    let service: Retry<_, _> = plain().layer(service);
    let (one, two) = tokio::join!(
        context::traced(service.clone().oneshot(())),
        context::traced(service.clone().oneshot(())),
    );
    assert!(one.0.is_err() && two.0.is_err());
    assert_eq!(one.1.attempts().len(), 3);
    assert_eq!(two.1.attempts().len(), 3);
    assert_eq!(calls.get(), 6);
}
