//! Two services: when the backup is asked, and what the caller gets.

use std::{cell::Cell, convert::Infallible, rc::Rc, time::Duration};

use backstop_core::{BoxError, Exhausted, FaultKind, context};
use backstop_fallback::FallbackLayer;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::support::{Reply, answers, by_text, fails};

#[tokio::test(start_paused = true)]
async fn answers_from_the_primary_and_leaves_the_backup_alone() {
    let (primary, mut p) = mock::pair();
    let (backup, mut b) = mock::pair::<u32, &'static str>();
    let mut service = FallbackLayer::new(backup).layer(primary);

    let mut call = task::spawn(service.ready().await.unwrap().call(1));
    assert_pending!(call.poll());
    let (request, reply) = p.next_request().await.unwrap();
    assert_eq!(request, 1);
    reply.send_response("primary");

    assert_eq!(assert_ready!(call.poll()).unwrap(), "primary");
    assert!(task::spawn(b.next_request()).poll().is_pending());
}

#[tokio::test(start_paused = true)]
async fn asks_the_backup_with_no_wait_where_the_primary_fails() {
    let (primary, mut p) = mock::pair();
    let (backup, mut b) = mock::pair::<u32, &'static str>();
    let mut service = FallbackLayer::new(backup).layer(primary);
    let start = Instant::now();

    let mut call = task::spawn(service.ready().await.unwrap().call(1));
    assert_pending!(call.poll());
    p.next_request().await.unwrap().1.send_error("down");
    assert_pending!(call.poll());
    let (request, reply) = b.next_request().await.unwrap();
    assert_eq!(request, 1);
    reply.send_response("backup");

    assert_eq!(assert_ready!(call.poll()).unwrap(), "backup");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn fails_over_on_every_kind_that_is_not_the_callers_doing() {
    let over = [
        FaultKind::Connect,
        FaultKind::Denied,
        FaultKind::Malformed,
        FaultKind::Missing,
        FaultKind::Overloaded,
        FaultKind::QuotaExhausted,
        FaultKind::RateLimited,
        FaultKind::Refused,
        FaultKind::TimedOut,
        FaultKind::Unavailable,
    ];
    for kind in FaultKind::ALL {
        let layer = FallbackLayer::new(answers("backup")).classify(by_text());
        let error = layer.layer(fails(kind.label())).oneshot(1).await;
        let response = layer.layer(answers(kind.label())).oneshot(1).await;
        if over.contains(&kind) {
            assert_eq!(error.unwrap(), "backup", "{kind:?}");
            assert_eq!(response.unwrap(), "backup", "{kind:?}");
        } else {
            assert_eq!(error.unwrap_err().to_string(), kind.label(), "{kind:?}");
            assert_eq!(response.unwrap(), kind.label(), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn does_not_fail_over_where_the_caller_cancelled() {
    let layer = FallbackLayer::new(answers("backup")).classify(by_text());
    let error = layer
        .layer(fails("cancelled"))
        .oneshot(1)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn lists_all_that_failed_where_the_backup_fails_too() {
    let slow = service_fn(|_: u32| async {
        tokio::time::sleep(Duration::from_millis(212)).await;
        Reply::Err("overloaded".into())
    });
    let layer = FallbackLayer::new(fails("connect")).classify(by_text());
    let error = layer.layer(slow).oneshot(1).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "all 2 candidates failed: primary overloaded after 212 ms; \
         backup no connection after 0 ms"
    );
    let exhausted: &Exhausted = error.downcast_ref().unwrap();
    assert_eq!(exhausted.fault().kind(), FaultKind::Connect);
    assert_eq!(error.source().unwrap().to_string(), "connect");
}

#[tokio::test]
async fn returns_a_failing_last_response_as_it_is() {
    let layer = FallbackLayer::new(answers("overloaded")).classify(by_text());
    let service = layer.layer(answers("unavailable"));
    let (result, trail) = context::traced(service.oneshot(1)).await;
    assert_eq!(result.unwrap(), "overloaded");
    assert_eq!(trail.attempts().len(), 2);
}

#[tokio::test]
async fn sends_the_backup_a_request_of_another_type() {
    let backup = service_fn(|name: String| async move { Ok::<_, BoxError>(name) });
    let primary = service_fn(|_: u32| async { Err::<String, BoxError>("down".into()) });
    let layer = FallbackLayer::new(backup).map_request(|id: u32| format!("user {id}"));
    assert_eq!(layer.layer(primary).oneshot(7).await.unwrap(), "user 7");
}

#[tokio::test]
async fn works_over_services_that_are_not_send() {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let primary = service_fn(move |_: u32| {
        count.set(count.get() + 1);
        let count = count.clone();
        async move {
            if count.get() > 0 {
                Reply::Err("down".into())
            } else {
                Ok("never")
            }
        }
    });
    let service = FallbackLayer::new(answers("backup")).layer(primary);
    let local = tokio::task::LocalSet::new();
    let reply = local.run_until(async { tokio::task::spawn_local(service.oneshot(1)).await });
    assert_eq!(reply.await.unwrap().unwrap(), "backup");
    assert_eq!(calls.get(), 1);
}

/// An error of one's own stays exhaustive.
#[derive(Debug)]
enum Error {
    Exhausted(Exhausted),
    Down,
}

impl From<Exhausted> for Error {
    fn from(error: Exhausted) -> Self {
        Self::Exhausted(error)
    }
}

impl From<Error> for BoxError {
    fn from(error: Error) -> Self {
        match error {
            Error::Exhausted(error) => error.into(),
            Error::Down => "down".into(),
        }
    }
}

#[tokio::test]
async fn keeps_the_error_type_of_the_service() {
    let down = || service_fn(|_: u32| async { Err::<Infallible, _>(Error::Down) });
    let error = FallbackLayer::new(down())
        .layer(down())
        .oneshot(1)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Exhausted(_)));
}
