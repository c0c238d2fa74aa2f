//! Run with: cargo run -p backstop-examples --example hyper_client
//!
//! Retry, circuit breaker and timeout round hyper-util's client, whose error type is kept out of
//! the way by boxing it. Bodies that can't be cloned are kept while they are sent.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::{Router, routing::post};
use backstop_circuit_breaker::CircuitBreakerLayer;
use backstop_core::{BoxError, HttpStatus, context};
use backstop_retry::{Replay, ReplayBody, RetryLayer};
use backstop_timeout::TimeoutLayer;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};

static CALLS: AtomicU32 = AtomicU32::new(0);

/// An echo that is not there for the first two calls.
async fn echo(body: String) -> Result<String, StatusCode> {
    match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err(StatusCode::SERVICE_UNAVAILABLE),
        _ => Ok(body),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Router::new().route("/echo", post(echo));
    tokio::spawn(axum::serve(listener, server).into_future());

    let client = Client::builder(TokioExecutor::new()).build_http::<ReplayBody<Full<Bytes>>>();
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(10)))
        .layer(
            RetryLayer::new()
                .classify(HttpStatus::new())
                .clone_request(Replay::new()),
        )
        .layer(
            CircuitBreakerLayer::new("echo")
                .classify(HttpStatus::new())
                .until_end(),
        )
        .layer(TimeoutLayer::new().response(Duration::from_secs(2)))
        .map_err(BoxError::from)
        .service(client);

    let request = Request::post(format!("http://{address}/echo"))
        .body(ReplayBody::new(Full::new(Bytes::from("hello, hello"))))?;
    let (response, trail) = context::traced(service.oneshot(request)).await;
    let response = response?;
    println!("{} after: {trail}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));
    Ok(())
}
