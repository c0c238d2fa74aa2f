//! Replies with a status, and bodies that break.
#![cfg(feature = "http")]

use std::convert::Infallible;

use backstop_chaos::{
    ChaosLayer, Mishap, Plan,
    http::{ChaosBody, Reply, Reset, TailChaosLayer, TailFault},
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use tokio_test::{assert_pending, task};
use tower::{BoxError, Layer, ServiceExt, service_fn};

type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Three frames, with an error type that can be a reset.
fn three() -> Body {
    let frames =
        ["a", "b", "c"].map(|text| Ok::<_, BoxError>(http_body::Frame::data(Bytes::from(text))));
    BodyExt::boxed_unsync(StreamBody::new(futures_util::stream::iter(frames)))
}

async fn broken(fault: Option<TailFault>) -> ChaosBody<Body> {
    let layer = TailChaosLayer::new(Plan::script([fault]));
    layer.switch().turn_on();
    let service = service_fn(|()| async { Ok::<_, Infallible>(Response::new(three())) });
    let Ok(response) = layer.layer(service).oneshot(()).await;
    response.into_body()
}

async fn read(mut body: ChaosBody<Body>) -> (String, Option<BoxError>) {
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let data = frame.into_data().expect("there are no trailers");
                text.push_str(&String::from_utf8_lossy(&data));
            }
            Err(error) => return (text, Some(error)),
        }
    }
    (text, None)
}

#[tokio::test]
async fn spares_a_body_that_the_plan_spares() {
    let (text, error) = read(broken(None).await).await;
    assert_eq!(text, "abc");
    assert!(error.is_none());
}

#[tokio::test]
async fn ends_a_body_as_if_that_were_all() {
    let (text, error) = read(broken(Some(TailFault::EndAfter(2))).await).await;
    assert_eq!(text, "ab");
    assert!(error.is_none());
}

#[tokio::test]
async fn resets_a_body_and_ends_it() {
    let mut body = broken(Some(TailFault::ResetAfter(1))).await;
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().unwrap_err().is::<Reset>());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn stalls_a_body() {
    let mut body = broken(Some(TailFault::StallAfter(0))).await;
    assert_pending!(task::spawn(body.frame()).poll());
}

#[tokio::test]
async fn keeps_the_size_of_a_body_that_is_spared() {
    let layer = TailChaosLayer::new(Plan::always(TailFault::EndAfter(0)));
    let service = service_fn(|()| async {
        let body = Full::new(Bytes::from("hello")).map_err(|never| match never {});
        Ok::<_, Infallible>(Response::<Body>::new(body.boxed_unsync()))
    });
    let Ok(response) = layer.layer(service).oneshot(()).await;
    let size = http_body::Body::size_hint(response.body());
    assert_eq!(size.exact(), Some(5));
}

#[tokio::test]
async fn replies_with_any_status_and_header() {
    for form in [
        "2",
        "-1",
        "99999999999999999999",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "soon",
    ] {
        let reply = Reply::new(StatusCode::TOO_MANY_REQUESTS)
            .header(RETRY_AFTER, HeaderValue::from_static(form))
            .body("slow down");
        let mishap: Mishap<Response<&str>, Infallible> = reply.into();
        let layer = ChaosLayer::new(Plan::always(mishap));
        layer.switch().turn_on();
        let service = service_fn(|()| async { Ok::<_, Infallible>(Response::new("fine")) });
        let Ok(response) = layer.layer(service).oneshot(()).await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[RETRY_AFTER], form);
        assert_eq!(*response.body(), "slow down");
    }
}
