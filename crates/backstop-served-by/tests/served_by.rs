//! Who answered, on responses and on errors.

use std::{convert::Infallible, time::Duration};

use backstop_core::{Attempt, BoxError, Fault, FaultKind, context};
use backstop_served_by::{Served, ServedBy, ServedByLayer, Stamp, StampedError};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

/// A response with a place for the stamp.
#[derive(Debug, Default)]
struct Answer {
    served_by: Option<ServedBy>,
}

impl Stamp for Answer {
    fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_ref()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.served_by.as_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.served_by = Some(stamp);
    }
}

fn answers() -> impl Service<(), Response = Answer, Error = BoxError, Future: Send> + Clone {
    service_fn(|()| async { Ok::<_, BoxError>(Answer::default()) })
}

fn attempt() -> Attempt {
    Attempt::new(1, Fault::new(FaultKind::Overloaded).with_status(529))
        .took(Duration::from_millis(212))
}

#[tokio::test]
async fn says_who_answered_and_what_was_asked_for() {
    let layer = ServedByLayer::new("b").requested("a").degraded();
    let stamp = layer
        .layer(answers())
        .oneshot(())
        .await
        .unwrap()
        .served_by
        .unwrap();
    assert_eq!(&*stamp.name, "b");
    assert_eq!(stamp.requested.as_deref(), Some("a"));
    assert!(stamp.degraded);
    assert!(stamp.trail.is_empty());
}

#[tokio::test]
async fn the_innermost_wins_and_is_told_what_was_asked_for() {
    let inner = ServedByLayer::new("inner").layer(answers());
    let outer = ServedByLayer::new("outer").requested("asked").degraded();
    let stamp = outer
        .layer(inner)
        .oneshot(())
        .await
        .unwrap()
        .served_by
        .unwrap();
    assert_eq!(&*stamp.name, "inner");
    assert_eq!(stamp.requested.as_deref(), Some("asked"));
    assert!(stamp.degraded);

    let inner = ServedByLayer::new("inner")
        .requested("first")
        .layer(answers());
    for (outer, degraded) in [(outer, true), (ServedByLayer::new("outer"), false)] {
        let stamp = outer
            .layer(inner.clone())
            .oneshot(())
            .await
            .unwrap()
            .served_by
            .unwrap();
        assert_eq!(stamp.degraded, degraded);
        assert_eq!(stamp.requested.as_deref(), Some("first"));
    }
}

#[tokio::test]
async fn what_failed_after_the_inner_stamp_is_on_it_after_the_outer_one() {
    let inner = ServedByLayer::new("inner").layer(answers());
    let raced = service_fn(|()| async {
        let answer = inner.clone().oneshot(()).await;
        context::record(attempt().on("loser".into()));
        answer
    });
    let call = ServedByLayer::new("outer").layer(raced).oneshot(());
    let stamp = context::traced(call).await.0.unwrap().served_by.unwrap();
    assert_eq!(&*stamp.name, "inner");
    let loser = stamp.trail.last().expect("what failed");
    assert_eq!(loser.candidate.as_deref(), Some("loser"));
}

#[tokio::test]
async fn a_stamp_beside_a_response_can_be_read_and_replaced() {
    let layer = ServedByLayer::new("a").beside();
    let mut served = layer.layer(answers()).oneshot(()).await.unwrap();
    assert_eq!(&*served.served_by().expect("is there").name, "a");
    served.stamp(ServedBy::new("b".into()));
    assert_eq!(&*served.served_by.name, "b");
}

#[tokio::test]
async fn carries_what_failed_on_the_way_under_its_name() {
    let service = service_fn(|()| async {
        context::record(attempt());
        Ok::<_, BoxError>(Answer::default())
    });
    let service = ServedByLayer::new("b").layer(service);
    let (answer, trail) = context::traced(async {
        context::record(attempt().on("a".into()));
        service.oneshot(()).await
    })
    .await;
    let stamp = answer.unwrap().served_by.unwrap();
    let all = "a 529 overloaded after 212 ms; b 529 overloaded after 212 ms";
    assert!(stamp.trail.to_string() == all && trail.to_string() == all);
}

#[tokio::test]
async fn names_the_attempts_of_a_call_that_fails() {
    let service = service_fn(|()| async {
        context::record(attempt());
        Err::<Answer, BoxError>("down".into())
    });
    let service = ServedByLayer::new("a").layer(service);
    let (error, trail) = context::traced(service.oneshot(())).await;
    assert_eq!(error.unwrap_err().to_string(), "down");
    assert_eq!(trail.last().unwrap().candidate.as_deref(), Some("a"));
}

#[tokio::test]
async fn stamps_an_error_whose_source_is_the_error_itself() {
    let service = service_fn(|()| async { Err::<Answer, BoxError>("down".into()) });
    let inner = ServedByLayer::new("inner").on_errors().layer(service);
    let outer = ServedByLayer::new("outer").requested("asked").on_errors();
    let error = outer.layer(inner).oneshot(()).await.unwrap_err();
    let stamped: &StampedError = error.downcast_ref().unwrap();
    assert_eq!(&*stamped.served_by().name, "inner");
    assert_eq!(stamped.served_by().requested.as_deref(), Some("asked"));
    assert_eq!(error.to_string(), "inner failed");
    assert_eq!(error.source().unwrap().to_string(), "down");
}

#[tokio::test]
async fn stamps_an_error_of_readiness() {
    let (service, mut handle) = mock::pair::<(), Answer>();
    handle.send_error("gone");
    let mut service = ServedByLayer::new("a").on_errors().layer(service);
    let error = service.ready().await.map(drop).unwrap_err();
    assert_eq!(&*error.served_by().unwrap().name, "a");
}

#[tokio::test]
async fn hands_the_stamp_out_beside_a_type_that_has_no_place_for_it() {
    let service = service_fn(|n: u32| async move { Ok::<_, Infallible>(n) });
    let inner = ServedByLayer::new("inner").beside().layer(service);
    let service = ServedByLayer::new("outer").requested("asked").layer(inner);
    let Ok(Served {
        response,
        served_by,
        ..
    }) = service.oneshot(7).await;
    assert_eq!((response, &*served_by.name), (7, "inner"));
    assert_eq!(served_by.requested.as_deref(), Some("asked"));
}

#[tokio::test]
async fn a_closure_puts_the_stamp_on_a_type_of_another_crate() {
    let service = service_fn(|()| async { Ok::<_, Infallible>(String::from("hello")) });
    let layer = ServedByLayer::new("a")
        .put(|text: &mut String, stamp| text.push_str(&format!(" from {stamp}")));
    let Ok(text) = layer.layer(service).oneshot(()).await;
    assert_eq!(text, "hello from a");
}

#[tokio::test]
async fn passes_readiness_and_calls_through() {
    let (service, mut handle) = mock::pair::<(), Answer>();
    handle.allow(0);
    let mut service = ServedByLayer::new("a").layer(service);
    {
        let mut ready = task::spawn(service.ready());
        assert_pending!(ready.poll());
        handle.allow(1);
        assert!(ready.is_woken());
        assert_ready!(ready.poll()).unwrap();
    }
    let mut call = task::spawn(service.call(()));
    assert_pending!(call.poll());
    handle
        .next_request()
        .await
        .unwrap()
        .1
        .send_response(Answer::default());
    let answer = assert_ready!(call.poll()).unwrap();
    assert_eq!(&*answer.served_by.unwrap().name, "a");
}

#[tokio::test]
async fn leaves_nothing_behind_when_dropped_while_pending() {
    let service = service_fn(|()| async {
        context::record(attempt());
        std::future::pending::<Result<Answer, BoxError>>().await
    });
    let mut call = task::spawn(ServedByLayer::new("a").layer(service).oneshot(()));
    assert_pending!(call.poll());
    drop(call);
    assert!(context::trail().is_empty());
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn stamps_a_grpc_response_in_its_extensions() {
    let service =
        service_fn(|()| async { Ok::<_, tonic::Status>(tonic::Response::new("streaming")) });
    let response = ServedByLayer::new("a")
        .layer(service)
        .oneshot(())
        .await
        .unwrap();
    assert_eq!(&*response.served_by().unwrap().name, "a");
}
