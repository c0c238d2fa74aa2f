//! Run with: cargo run -p backstop-examples --example axum_route
//!
//! The layers inside an axum router. A route can't fail, the layers can: `AbsorbLayer` turns their
//! errors into responses. One circuit serves all connections.

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, body::Body, extract::Path, response::Response, routing::get};
use backstop_circuit_breaker::{Open, OpenWait, Policy};
use backstop_core::{AbsorbLayer, BoxError, FaultKinds, HttpStatus};
use backstop_timeout::TimeoutLayer;
use http::{StatusCode, header::RETRY_AFTER};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

/// A report that takes as many milliseconds as it is asked for, and fails where that is none.
async fn report(Path(millis): Path<u64>) -> Result<String, StatusCode> {
    if millis == 0 {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(format!("a report that took {millis} ms"))
}

/// What a caller is told when a layer fails.
fn respond(error: BoxError) -> Response {
    let mut response = Response::new(Body::from(error.to_string()));
    *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    if let Some(open) = error.downcast_ref::<Open>() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        if let Some(wait) = open.retry_after() {
            let seconds = wait.as_secs_f64().ceil() as u64;
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
    }
    response
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let breaker = Policy::new()
        .consecutive(NonZeroU32::new(3).ok_or("three is not zero")?)
        .open_for(OpenWait::fixed(Duration::from_secs(10)))
        // A path that is not there says nothing of the others.
        .at_once(FaultKinds::NONE)
        .layer("reports")
        .classify(HttpStatus::new());
    let layers = ServiceBuilder::new()
        .layer(breaker)
        .layer(TimeoutLayer::new().response(Duration::from_millis(100)))
        .into_inner();
    let app = Router::new()
        .route("/report/{millis}", get(report))
        .layer(AbsorbLayer::new(layers, respond));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, app).into_future());

    for millis in [10, 1_000, 0, 0, 10] {
        let response = reqwest::get(format!("http://{address}/report/{millis}")).await?;
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        print!("/report/{millis}: {}", response.status());
        if let Some(wait) = retry_after.as_ref().and_then(|wait| wait.to_str().ok()) {
            print!(", retry after {wait} s");
        }
        println!("  {}", response.text().await?);
    }
    Ok(())
}
