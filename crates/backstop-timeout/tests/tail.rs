//! Limits on a response's tail, and limits that an HTTP request brings along.
#![cfg(feature = "http")]

mod common;

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::Deadline;
use backstop_timeout::{Elapsed, FromHttp, Limit, Limits, TimeoutLayer};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::{
    sync::mpsc,
    time::{Instant, advance},
};
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_test::mock;

use common::{busy, one_second_of};

const SECOND: Duration = Duration::from_secs(1);

/// A body that is fed by a channel.
struct Fed(mpsc::UnboundedReceiver<Frame<&'static [u8]>>);

impl Body for Fed {
    type Data = &'static [u8];
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(5)
    }
}

type Feed = mpsc::UnboundedSender<Frame<&'static [u8]>>;

async fn respond<R>(
    layer: TimeoutLayer<backstop_timeout::UntilEnd, R>,
) -> (
    Feed,
    Pin<Box<impl Body<Data = &'static [u8], Error = BoxError>>>,
)
where
    R: backstop_timeout::LimitsFor<()> + Clone,
{
    let (feed, frames) = mpsc::unbounded_channel();
    let mut frames = Some(frames);
    let service = layer.layer(service_fn(move |()| {
        let body = Fed(frames.take().expect("one call"));
        async move { Ok::<_, BoxError>(Response::new(body)) }
    }));
    (
        feed,
        Box::pin(service.oneshot(()).await.expect("a response").into_body()),
    )
}

fn elapsed(error: Option<Result<Frame<&'static [u8]>, BoxError>>) -> Elapsed {
    let error = error.expect("a frame").expect_err("an error");
    common::elapsed(&error).clone()
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_never_begins_fails_at_the_first_item_limit() {
    let layer = TimeoutLayer::new()
        .until_end()
        .first_item(SECOND)
        .idle(5 * SECOND);
    let (_feed, mut body) = respond(layer).await;
    let error = elapsed(body.frame().await);
    assert_eq!((error.limit(), error.after()), (Limit::FirstItem, SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_stalls_fails_at_the_idle_limit() {
    let layer = TimeoutLayer::new()
        .until_end()
        .first_item(5 * SECOND)
        .idle(SECOND);
    let (feed, mut body) = respond(layer).await;
    for _ in 0..3 {
        feed.send(Frame::data(b"more")).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        advance(SECOND / 2).await;
    }
    let start = Instant::now();
    let error = elapsed(body.frame().await);
    assert_eq!((error.limit(), error.after()), (Limit::Idle, SECOND));
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn of_the_limits_on_a_tail_the_earlier_is_told() {
    for (first_item, total, told) in [
        (1, 2, Limit::FirstItem),
        (2, 2, Limit::Total),
        (3, 2, Limit::Total),
    ] {
        let layer = TimeoutLayer::new().until_end().total(total * SECOND);
        let (_feed, mut body) = respond(layer.first_item(first_item * SECOND)).await;
        let error = elapsed(body.frame().await);
        assert_eq!(error.limit(), told);
        assert_eq!(error.after(), first_item.min(total) * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn fires_over_a_tail_that_uses_up_the_cooperative_budget() {
    struct Busy;
    impl Body for Busy {
        type Data = &'static [u8];
        type Error = BoxError;
        fn poll_frame(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<&'static [u8]>, BoxError>>> {
            busy(cx);
            Poll::Pending
        }
    }
    let layer = TimeoutLayer::new().until_end().first_item(SECOND);
    let service = layer.layer(service_fn(|()| async {
        Ok::<_, BoxError>(Response::new(Busy))
    }));
    let mut body = Box::pin(service.oneshot(()).await.unwrap().into_body());
    let frame = one_second_of(async move { body.frame().await }).await;
    assert_eq!(elapsed(frame).limit(), Limit::FirstItem);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_an_idle_service() {
    let layer = TimeoutLayer::new()
        .until_end()
        .idle(SECOND)
        .first_item(SECOND);
    let (feed, mut body) = respond(layer).await;
    for _ in 0..3 {
        advance(10 * SECOND).await;
        feed.send(Frame::data(b"more")).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_service_under_a_slow_reader_is_found_once_the_reader_waits() {
    let layer = TimeoutLayer::new().until_end().idle(SECOND);
    let (feed, mut body) = respond(layer).await;
    feed.send(Frame::data(b"more")).unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    advance(60 * SECOND).await;
    let start = Instant::now();
    assert_eq!(elapsed(body.frame().await).limit(), Limit::Idle);
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_total_covers_the_tail_however_busy_it_is() {
    let layer = TimeoutLayer::new()
        .until_end()
        .idle(SECOND)
        .total(2 * SECOND);
    let (feed, mut body) = respond(layer).await;
    let start = Instant::now();
    let error = loop {
        feed.send(Frame::data(b"more")).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        let next = tokio::time::timeout(SECOND / 2, body.frame()).await;
        if let Ok(frame) = next {
            break elapsed(frame);
        }
    };
    assert_eq!(error.limit(), Limit::Total);
    assert_eq!(error.after(), 2 * SECOND);
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_readiness_counts_against_the_total_of_a_tail() {
    let layer = TimeoutLayer::new().until_end().total(3 * SECOND);
    let (mut service, mut handle) = mock::spawn_layer::<(), Response<Fed>, _>(layer);
    handle.allow(0);
    assert_pending!(service.poll_ready());
    advance(SECOND).await;
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let start = Instant::now();
    let (_feed, frames) = mpsc::unbounded_channel();
    let answer = async {
        let ((), respond) = handle.next_request().await.expect("a request");
        respond.send_response(Response::new(Fed(frames)));
    };
    let (response, ()) = tokio::join!(service.call(()), answer);
    let mut body = Box::pin(response.unwrap().into_body());
    assert_eq!(elapsed(body.frame().await).limit(), Limit::Total);
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn size_hint_end_and_trailers_are_the_bodys_own() {
    let layer = TimeoutLayer::new().until_end().idle(SECOND);
    let service = layer.layer(service_fn(|()| async {
        Ok::<_, BoxError>(Response::new(
            Full::new(&b"hello"[..]).map_err(|never| -> BoxError { match never {} }),
        ))
    }));
    let body = service.oneshot(()).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream());

    let (feed, mut body) = respond(layer).await;
    assert_eq!(body.size_hint().exact(), Some(5));
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    feed.send(Frame::trailers(trailers.clone())).unwrap();
    assert_eq!(
        body.frame()
            .await
            .unwrap()
            .unwrap()
            .into_trailers()
            .unwrap(),
        trailers
    );
    drop(feed);
    assert!(body.frame().await.is_none());
}

async fn limit_of(request: Request<()>, configured: TimeoutLayer) -> Option<Duration> {
    let service = configured
        .per_request(FromHttp::new())
        .layer(service_fn(|_| async {
            let deadline = backstop_core::context::deadline();
            Ok::<_, BoxError>(deadline.map(|deadline| deadline.remaining(Instant::now())))
        }));
    service.oneshot(request).await.expect("a response")
}

fn grpc_timeout(value: &[u8]) -> Request<()> {
    let request = Request::builder().header("grpc-timeout", value);
    request.body(()).expect("is a header")
}

#[tokio::test(start_paused = true)]
async fn grpc_timeout_is_read_in_every_unit() {
    for (header, expected) in [
        ("2H", 7_200 * SECOND),
        ("3M", 180 * SECOND),
        ("1S", SECOND),
        ("1500m", SECOND * 3 / 2),
        ("999999u", Duration::from_micros(999_999)),
        ("12345678n", Duration::from_nanos(12_345_678)),
    ] {
        let limit = limit_of(grpc_timeout(header.as_bytes()), TimeoutLayer::new()).await;
        assert_eq!(limit, Some(expected), "{header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_grpc_timeout_is_no_limit() {
    for header in ["123456789S", "-1S", "1", "S", "", "1.5S", "1s", "1\u{ff}S"] {
        let limit = limit_of(grpc_timeout(header.as_bytes()), TimeoutLayer::new()).await;
        assert_eq!(limit, None, "{header:?}");
    }
    let limit = limit_of(grpc_timeout(b"1\xffS"), TimeoutLayer::new()).await;
    assert_eq!(limit, None);
}

#[tokio::test(start_paused = true)]
async fn grpc_timeout_tightens_the_total_and_never_widens_it() {
    let ten = TimeoutLayer::new().total(10 * SECOND);
    for (header, expected) in [("1S", 1), ("1M", 10), ("99999999H", 10)] {
        let limit = limit_of(grpc_timeout(header.as_bytes()), ten).await;
        assert_eq!(limit, Some(expected * SECOND), "{header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_requests_extensions_bring_limits_and_a_deadline() {
    let mut request = Request::new(());
    let mut limits = Limits::none();
    limits.total = Some(20 * SECOND);
    request.extensions_mut().insert(limits);
    let ten = TimeoutLayer::new().total(10 * SECOND);
    assert_eq!(limit_of(request.clone(), ten).await, Some(20 * SECOND));
    request
        .extensions_mut()
        .insert(Deadline::after(Instant::now(), 2 * SECOND));
    assert_eq!(limit_of(request, ten).await, Some(2 * SECOND));
}
