//! Limits on the wait for readiness.

mod common;

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use backstop_timeout::{Limit, TimeoutLayer};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_test::{assert_request_eq, mock};

use common::{busy, elapsed, one_second_of};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn fires_over_a_readiness_that_uses_up_the_cooperative_budget() {
    let service = TimeoutLayer::new().readiness(SECOND).layer(Never(busy));
    let error = one_second_of(service.oneshot(())).await.unwrap_err();
    assert_eq!(elapsed(&error).limit(), Limit::Readiness);
}

#[tokio::test(start_paused = true)]
async fn reports_ready_and_fails_the_call_when_readiness_takes_too_long() {
    let (mut service, mut handle) =
        mock::spawn_layer::<(), (), _>(TimeoutLayer::new().readiness(SECOND));
    handle.allow(0);
    assert_pending!(service.poll_ready());
    advance(SECOND).await;
    assert_ready_ok!(service.poll_ready());
    let error = service.call(()).await.unwrap_err();
    assert_eq!(elapsed(&error).limit(), Limit::Readiness);
    assert_eq!(elapsed(&error).after(), SECOND);

    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(()));
    assert_request_eq!(handle, ()).send_response(());
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn of_the_limits_on_a_wait_for_readiness_the_earlier_is_told() {
    for (readiness, total, told) in [
        (1, 2, Limit::Readiness),
        (1, 1, Limit::Readiness),
        (2, 1, Limit::Total),
    ] {
        let layer = TimeoutLayer::new().readiness(readiness * SECOND);
        let (mut service, mut handle) = mock::spawn_layer::<(), (), _>(layer.total(total * SECOND));
        handle.allow(0);
        assert_pending!(service.poll_ready());
        advance(SECOND).await;
        assert_ready_ok!(service.poll_ready());
        let error = service.call(()).await.unwrap_err();
        assert_eq!(elapsed(&error).limit(), told);
        assert_eq!(elapsed(&error).after(), SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_wait_for_readiness_has_its_whole_limit() {
    let (mut service, mut handle) =
        mock::spawn_layer::<(), (), _>(TimeoutLayer::new().readiness(SECOND));
    for _ in 0..2 {
        handle.allow(0);
        assert_pending!(service.poll_ready());
        advance(SECOND / 2).await;
        assert_pending!(service.poll_ready());
        handle.allow(1);
        assert_ready_ok!(service.poll_ready());
        let _call = service.call(());
        let _request = handle.next_request().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_readiness_counts_against_the_total() {
    let (mut service, mut handle) =
        mock::spawn_layer::<(), (), _>(TimeoutLayer::new().total(3 * SECOND));
    for (waited, left) in [(1, 2), (3, 0)] {
        handle.allow(0);
        assert_pending!(service.poll_ready());
        advance(waited * SECOND).await;
        handle.allow(1);
        assert_ready_ok!(service.poll_ready());
        let start = Instant::now();
        let error = service.call(()).await.unwrap_err();
        assert_eq!(elapsed(&error).limit(), Limit::Total);
        assert_eq!(start.elapsed(), left * SECOND);
        let called = task::spawn(handle.next_request()).poll().is_ready();
        assert_eq!(called, left > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_readiness_error_passes_through() {
    let (mut service, mut handle) =
        mock::spawn_layer::<(), (), _>(TimeoutLayer::new().readiness(SECOND));
    handle.send_error("gone");
    assert!(assert_ready!(service.poll_ready()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_clone_does_not_wait_for_the_readiness_of_another() {
    let (mock, mut handle) = mock::pair::<(), ()>();
    handle.allow(0);
    let mut first = TimeoutLayer::new().readiness(SECOND).layer(mock);
    let mut ready = task::spawn(poll_fn(move |cx| {
        let polled = first.poll_ready(cx);
        assert!(polled.is_pending() || first.clone().poll_ready(cx).is_pending());
        polled
    }));
    assert_pending!(ready.poll());
    advance(SECOND).await;
    assert_ready_ok!(ready.poll());
}

/// A service that is never ready, and does this each time that it is asked.
struct Never(fn(&mut Context<'_>));

impl Service<()> for Never {
    type Response = ();
    type Error = BoxError;
    type Future = std::future::Pending<Result<(), BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0(cx);
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        unreachable!("it is never ready")
    }
}

#[test]
fn waits_for_readiness_in_one_runtime_after_another() {
    let mut service = TimeoutLayer::new().readiness(SECOND).layer(Never(|_| {}));
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
            let error = service.call(()).await.unwrap_err();
            assert_eq!(elapsed(&error).limit(), Limit::Readiness);
        });
    }
}
