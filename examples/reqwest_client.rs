//! Run with: cargo run -p backstop-examples --example reqwest_client
//!
//! reqwest's `Client` is a tower service, so the layers go round it as they are. Its requests say
//! themselves whether they can be sent again, and a closure tells what a response means.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::{Router, routing::get};
use backstop_circuit_breaker::CircuitBreakerLayer;
use backstop_core::{
    BoxError, Fault, FaultKind, HttpStatus, RetryHint, Verdict, classify_fn, context,
};
use backstop_retry::RetryLayer;
use backstop_timeout::TimeoutLayer;
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use reqwest::{Client, Method, Request, Response};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};

static CALLS: AtomicU32 = AtomicU32::new(0);

/// A page that is too much in demand for the first call, and says when to come back.
async fn page() -> Result<&'static str, (StatusCode, HeaderMap)> {
    if CALLS.fetch_add(1, Ordering::Relaxed) > 0 {
        return Ok("the page");
    }
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, 1.into());
    Err((StatusCode::TOO_MANY_REQUESTS, headers))
}

/// What a result of reqwest's means: its status, and what it says of coming back.
fn verdict(result: Result<&Response, &BoxError>) -> Verdict {
    match result {
        Ok(response) => match HttpStatus::kind(response.status()) {
            Some(kind) => {
                let hint = RetryHint::from_headers(response.headers());
                hint.apply(Fault::new(kind).with_status(response.status().as_u16()))
                    .into()
            }
            None => Verdict::Success,
        },
        Err(_) => Fault::new(FaultKind::Connect).into(),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/page", listener.local_addr()?);
    let server = Router::new().route("/page", get(page));
    tokio::spawn(axum::serve(listener, server).into_future());

    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(10)))
        .layer(
            RetryLayer::new()
                .classify(classify_fn(verdict))
                .clone_request_fn(Request::try_clone),
        )
        .layer(CircuitBreakerLayer::new("page").classify(classify_fn(verdict)))
        .layer(TimeoutLayer::new().response(Duration::from_secs(2)))
        .map_err(BoxError::from)
        .service(Client::new());

    let request = Request::new(Method::GET, url.parse()?);
    let (response, trail) = context::traced(service.oneshot(request)).await;
    let response = response?;
    println!("{} after: {trail}", response.status());
    println!("{}", response.text().await?);
    Ok(())
}
