//! Tails: a body that breaks off is a failure, one that the caller leaves is neutral.
#![cfg(feature = "http")]

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{
    CircuitBreakerLayer, Jitter, OpenWait, Policy, State, TailGuard, UntilEnd,
};
use backstop_core::{ErrorsAreTransient, HttpStatus, http::Watched};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{BoxError, Layer, ServiceExt, service_fn};

const OPEN: Duration = Duration::from_secs(5);

fn layer() -> CircuitBreakerLayer<ErrorsAreTransient, UntilEnd> {
    Policy::new()
        .consecutive(NonZeroU32::new(2).expect("two is not zero"))
        .without_failure_rate()
        .open_for(OpenWait::fixed(OPEN).jitter(Jitter::None))
        .layer("tails")
        .until_end()
}

async fn respond<B>(
    layer: &CircuitBreakerLayer<ErrorsAreTransient, UntilEnd>,
    body: B,
) -> Watched<B, TailGuard>
where
    B: Body,
{
    let mut body = Some(body);
    let service = layer.layer(service_fn(move |()| {
        let body = body.take().expect("one call");
        async { Ok::<_, BoxError>(Response::new(body)) }
    }));
    let response = service.oneshot(()).await;
    response.expect("the service answers").into_body()
}

type Piece = Result<Frame<&'static [u8]>, BoxError>;

fn pieces(pieces: Vec<Piece>) -> impl Body<Data = &'static [u8], Error = BoxError> + Unpin {
    let mut pieces = pieces.into_iter();
    StreamBody::new(Iter(std::iter::from_fn(move || pieces.next())))
}

/// A stream of what an iterator has.
struct Iter<I>(I);

impl<I: Iterator<Item = Piece> + Unpin> futures_core::Stream for Iter<I> {
    type Item = Piece;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Piece>> {
        std::task::Poll::Ready(self.0.next())
    }
}

fn data() -> Piece {
    Ok(Frame::data(b"token"))
}

fn cut() -> Vec<Piece> {
    vec![data(), Err("connection reset".into())]
}

fn run(layer: &CircuitBreakerLayer<ErrorsAreTransient, UntilEnd>) -> u32 {
    layer.handle().counts().consecutive_failures
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_a_failure() {
    let layer = layer();
    for _ in 0..2 {
        let body = respond(&layer, pieces(cut())).await;
        assert!(body.collect().await.is_err());
    }
    assert_eq!(layer.handle().state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_to_its_end_is_a_success() {
    let layer = layer();
    assert!(
        respond(&layer, pieces(cut()))
            .await
            .collect()
            .await
            .is_err()
    );
    assert_eq!(run(&layer), 1);
    let body = respond(&layer, pieces(vec![data(), data()])).await;
    assert_eq!(run(&layer), 1);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "tokentoken");
    assert_eq!(run(&layer), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_the_caller_drops_is_neutral() {
    let layer = layer();
    assert!(
        respond(&layer, pieces(cut()))
            .await
            .collect()
            .await
            .is_err()
    );
    let mut body = respond(&layer, pieces(vec![data(), data()])).await;
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(run(&layer), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_is_a_success_though_nobody_reads_it() {
    let layer = layer();
    let body = respond(&layer, pieces(cut())).await;
    assert!(body.collect().await.is_err());
    assert_eq!(run(&layer), 1);
    // As a server does with a response that has none.
    drop(respond(&layer, Full::new(&b""[..])).await);
    assert_eq!(run(&layer), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_failed_in_its_trailers_has_failed() {
    let layer = layer();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("14"));
    let body = respond(&layer, pieces(vec![data(), Ok(Frame::trailers(trailers))])).await;
    let read = body.collect().await.unwrap();
    assert!(read.trailers().is_some());
    assert_eq!(run(&layer), 1);
}

#[tokio::test(start_paused = true)]
async fn size_and_end_are_the_bodys_own() {
    let layer = layer();
    let full = respond(&layer, Full::new(&b"hello"[..])).await;
    assert_eq!(full.size_hint().exact(), Some(5));
    assert!(!full.is_end_stream());
    let empty = respond(&layer, Full::new(&b""[..])).await;
    assert!(empty.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_judged_by_its_response_and_a_long_tail_holds_nobody_up() {
    let layer = layer();
    layer.handle().open_for(Duration::ZERO);
    let mut long = respond(&layer, pieces(cut())).await;
    assert_eq!(layer.handle().state(), State::Closed);
    long.frame().await.unwrap().unwrap();
    assert!(
        respond(&layer, pieces(cut()))
            .await
            .collect()
            .await
            .is_err()
    );
    // The tail belongs to the generation that its own probe began.
    assert!(long.frame().await.unwrap().is_err());
    assert_eq!(layer.handle().state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_settled_at_once_whatever_becomes_of_the_body() {
    let layer = Policy::new()
        .layer("status")
        .classify(HttpStatus::new())
        .until_end();
    let service = layer.layer(service_fn(|status: u16| async move {
        let body = Full::new(&b"busy"[..]);
        Ok::<_, BoxError>(Response::builder().status(status).body(body).unwrap())
    }));
    let response = service.clone().oneshot(503).await.unwrap();
    assert_eq!(layer.handle().counts().consecutive_failures, 1);
    response.into_body().collect().await.unwrap();
    assert_eq!(layer.handle().counts().consecutive_failures, 1);
    service.oneshot(401).await.unwrap();
    assert_eq!(layer.handle().state(), State::Open);
}
