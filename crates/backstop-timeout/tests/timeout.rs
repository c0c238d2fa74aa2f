//! Limits on readiness, response and the whole call.

mod common;

use std::{
    cell::Cell,
    future::{Future, pending, poll_fn, ready},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use backstop_core::{Attempt, Deadline, FaultKind, context};
use backstop_timeout::{Elapsed, Limit, Limits, TimeoutLayer};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::{assert_request_eq, mock};

use common::{busy, elapsed, one_second_of};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn passes_a_response_through() {
    let (mut service, mut handle) =
        mock::spawn_layer::<&str, &str, _>(TimeoutLayer::new().response(SECOND));
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call("hello"));
    assert_pending!(response.poll());
    assert_request_eq!(handle, "hello").send_response("world");
    assert_eq!(assert_ready_ok!(response.poll()), "world");
}

#[tokio::test(start_paused = true)]
async fn passes_an_error_through_unchanged() {
    let layer = TimeoutLayer::new().response(SECOND);
    let service = layer.layer(service_fn(|()| async {
        Err::<(), BoxError>("broken".into())
    }));
    assert_eq!(service.oneshot(()).await.unwrap_err().to_string(), "broken");
}

#[tokio::test(start_paused = true)]
async fn fails_at_the_limit_and_tells_which_and_after_how_long() {
    let layer = TimeoutLayer::new().response(SECOND).total(5 * SECOND);
    let service = layer.layer(service_fn(|()| pending::<Result<(), BoxError>>()));
    let error = service.oneshot(()).await.unwrap_err();
    assert_eq!(elapsed(&error).limit(), Limit::Response);
    assert_eq!(elapsed(&error).after(), SECOND);
    assert_eq!(error.to_string(), "response limit reached after 1.0 s");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_polled_again_before_its_limit_goes_on() {
    let layer = TimeoutLayer::new().response(SECOND);
    let service = layer.layer(service_fn(|()| pending::<Result<(), BoxError>>()));
    let mut call = task::spawn(service.oneshot(()));
    for _ in 0..4 {
        assert_pending!(call.poll());
        advance(SECOND / 4).await;
    }
    assert!(assert_ready!(call.poll()).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_error_that_only_says_that_the_time_is_up_gives_way_to_the_limit() {
    for (kind, after, gives_way) in [
        (FaultKind::Refused, SECOND, true),
        (FaultKind::TimedOut, SECOND, true),
        (FaultKind::Unavailable, SECOND, false),
        (FaultKind::Refused, SECOND / 2, false),
    ] {
        let layer = TimeoutLayer::new().total(SECOND);
        let service = layer.layer(service_fn(|()| async move {
            sleep(after).await;
            context::leave_fault(kind.into());
            Err::<(), BoxError>("from further in".into())
        }));
        let error = service.oneshot(()).await.unwrap_err();
        assert_eq!(error.is::<Elapsed>(), gives_way, "{kind:?} after {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn leaves_its_fault_for_the_next_layer_out() {
    let layer = TimeoutLayer::new().response(SECOND);
    let service = layer.layer(service_fn(|()| pending::<Result<(), BoxError>>()));
    let _ = service.oneshot(()).await;
    assert_eq!(
        context::fault().map(|fault| fault.kind()),
        Some(FaultKind::TimedOut)
    );
}

#[tokio::test(start_paused = true)]
async fn prefers_a_response_ready_at_the_limit() {
    let (mut service, mut handle) =
        mock::spawn_layer::<(), (), _>(TimeoutLayer::new().response(SECOND));
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(()));
    assert_pending!(response.poll());
    advance(SECOND).await;
    assert_request_eq!(handle, ()).send_response(());
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_fails_without_a_call() {
    let called = Rc::new(Cell::new(false));
    let seen = called.clone();
    let layer = TimeoutLayer::new().total(Duration::ZERO);
    let service = layer.layer(service_fn(move |()| {
        seen.set(true);
        ready(Ok::<_, BoxError>(()))
    }));
    let error = service.oneshot(()).await.unwrap_err();
    assert_eq!(elapsed(&error).limit(), Limit::Total);
    assert!(!called.get());
}

#[tokio::test(start_paused = true)]
async fn an_absurd_limit_never_panics() {
    let layer = TimeoutLayer::new()
        .response(Duration::MAX)
        .total(Duration::MAX);
    let service = layer.layer(service_fn(|()| async {
        sleep(SECOND).await;
        Ok::<_, BoxError>(())
    }));
    service.oneshot(()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn drops_the_inner_future_before_its_caller_sees_the_error() {
    struct Held(Arc<AtomicBool>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0
                .store(context::deadline().is_some(), Ordering::Relaxed);
        }
    }
    let dropped_in_scope = Arc::new(AtomicBool::new(false));
    let flag = dropped_in_scope.clone();
    let layer = TimeoutLayer::new().response(SECOND);
    let mut service = layer.layer(service_fn(move |()| {
        let held = Held(flag.clone());
        async move {
            let _held = held;
            pending::<Result<(), BoxError>>().await
        }
    }));
    let mut call = task::spawn(service.call(()));
    assert_pending!(call.poll());
    advance(SECOND).await;
    assert!(assert_ready!(call.poll()).is_err());
    assert!(dropped_in_scope.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn fires_over_a_future_that_uses_up_the_cooperative_budget() {
    let layer = TimeoutLayer::new().response(SECOND);
    let service = layer.layer(service_fn(|()| {
        poll_fn(|cx| {
            busy(cx);
            Poll::<Result<(), BoxError>>::Pending
        })
    }));
    let error = one_second_of(service.oneshot(())).await.unwrap_err();
    assert_eq!(elapsed(&error).limit(), Limit::Response);
}

#[tokio::test(start_paused = true)]
async fn registers_no_timer_for_a_response_that_is_ready_at_once() {
    let layer = TimeoutLayer::new().response(SECOND);
    let mut service = layer.layer(service_fn(|()| ready(Ok::<_, BoxError>(()))));
    // Outside a runtime's timer a registered timer would panic.
    std::thread::spawn(move || {
        let mut call = task::spawn(service.call(()));
        assert_ready_ok!(call.poll());
    })
    .join()
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_further_in_sees_the_deadline_at_call_and_at_each_poll() {
    let layer = TimeoutLayer::new().total(3 * SECOND);
    let service = layer.layer(service_fn(|()| {
        let at_call = context::deadline();
        async move {
            sleep(SECOND).await;
            assert_eq!(context::deadline(), at_call);
            Ok::<_, BoxError>(at_call.map(|deadline| deadline.remaining(Instant::now())))
        }
    }));
    assert_eq!(service.oneshot(()).await.unwrap(), Some(2 * SECOND));
    assert_eq!(context::deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn keeps_to_a_deadline_set_further_out() {
    let layer = TimeoutLayer::new().response(10 * SECOND);
    let mut service = layer.layer(service_fn(|()| pending::<Result<(), BoxError>>()));
    let call = {
        let _outer = context::enter_deadline(Deadline::after(Instant::now(), SECOND));
        service.call(())
    };
    let start = Instant::now();
    let error = call.await.unwrap_err();
    assert_eq!(elapsed(&error).limit(), Limit::Total);
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_later_deadline_further_out_changes_nothing() {
    let inner = TimeoutLayer::new().response(SECOND);
    let inner = inner.layer(service_fn(|()| pending::<Result<(), BoxError>>()));
    let stack = TimeoutLayer::new().total(10 * SECOND).layer(inner);
    let error = stack.oneshot(()).await.unwrap_err();
    assert_eq!(elapsed(&error).limit(), Limit::Response);
    assert_eq!(elapsed(&error).after(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn of_two_limits_that_run_out_together_the_outer_one_is_told() {
    let stack =
        TimeoutLayer::new()
            .total(SECOND)
            .layer(
                TimeoutLayer::new()
                    .response(5 * SECOND)
                    .layer(service_fn(|()| async {
                        let tries = context::traced(async {
                            context::record(Attempt::new(1, FaultKind::Unavailable.into()));
                            pending::<Result<(), BoxError>>().await
                        });
                        tries.await.0
                    })),
            );
    let error = stack.oneshot(()).await.unwrap_err();
    assert_eq!(elapsed(&error).limit(), Limit::Total);
    assert_eq!(elapsed(&error).trail().attempts().len(), 1);
    assert!(
        error.to_string().contains("having tried: unavailable"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_closure_gives_one_request_limits_of_its_own() {
    let layer = TimeoutLayer::new().response(SECOND).limits_for(
        |request: &Duration, mut limits: Limits| {
            limits.response = Some(*request);
            limits
        },
    );
    let service = layer.layer(service_fn(|_: Duration| pending::<Result<(), BoxError>>()));
    let start = Instant::now();
    service.oneshot(4 * SECOND).await.unwrap_err();
    assert_eq!(start.elapsed(), 4 * SECOND);
}

#[test]
fn a_service_that_is_not_send_works_on_a_local_set() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let shared = Rc::new(7);
    let layer = TimeoutLayer::new().response(SECOND);
    let service = layer.layer(service_fn(move |()| {
        let shared = shared.clone();
        async move { Ok::<i32, BoxError>(*shared) }
    }));
    let local = tokio::task::LocalSet::new();
    let answer = local.block_on(&runtime, async {
        tokio::task::spawn_local(service.oneshot(())).await.unwrap()
    });
    assert_eq!(answer.unwrap(), 7);
}

/// An error of one's own, closed: an exhaustive `match` stays exhaustive.
#[derive(Debug)]
enum Mine {
    Late(Elapsed),
    Other(&'static str),
}

impl From<Elapsed> for Mine {
    fn from(error: Elapsed) -> Self {
        Self::Late(error)
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_error_type_of_the_service() {
    let layer = TimeoutLayer::new().response(SECOND);
    let service = layer.layer(service_fn(|hangs: bool| async move {
        if hangs {
            pending().await
        } else {
            Err::<(), _>(Mine::Other("broken"))
        }
    }));
    for hangs in [true, false] {
        match service.clone().oneshot(hangs).await.unwrap_err() {
            Mine::Late(error) => assert!(hangs && error.after() == SECOND),
            Mine::Other(text) => assert!(!hangs && text == "broken"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn agrees_with_tower_where_tower_is_right() {
    for response_at in [0, 999, 1001, 5000] {
        let inner = service_fn(move |()| async move {
            sleep(Duration::from_millis(response_at)).await;
            Ok::<_, BoxError>(())
        });
        let ours = outcome(
            TimeoutLayer::new()
                .response(SECOND)
                .layer(inner)
                .oneshot(()),
        )
        .await;
        let towers = tower::timeout::TimeoutLayer::new(SECOND)
            .layer(inner)
            .oneshot(());
        assert_eq!(
            ours,
            outcome(towers).await,
            "a response after {response_at} ms"
        );
    }
}

async fn outcome(call: impl Future<Output = Result<(), BoxError>>) -> (bool, Duration) {
    let start = Instant::now();
    (call.await.is_ok(), start.elapsed())
}
