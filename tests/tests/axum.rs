//! The layers inside an axum router.

#![cfg(test)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Response,
    routing::get,
};
use backstop_circuit_breaker::{CircuitBreakerLayer, FaultKinds, Policy, State};
use backstop_core::{AbsorbLayer, BoxError, HttpStatus, Open};
use backstop_timeout::TimeoutLayer;
use http::{StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceBuilder};

/// Says what failed as a web server does.
fn respond(error: BoxError) -> Response {
    let mut response = Response::new(Body::from(error.to_string()));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    if let Some(wait) = error.downcast_ref().and_then(Open::retry_after) {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, wait.as_secs().into());
    }
    response
}

/// Serves the router, and gives its address and a client that opens a connection for each call.
async fn serve(router: Router) -> (SocketAddr, Client<HttpConnector, Empty<Bytes>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http();
    (address, client)
}

/// A route that counts its calls and fails each.
fn failing(calls: &Arc<AtomicUsize>) -> Router {
    let calls = calls.clone();
    let handler = move || async move {
        calls.fetch_add(1, Ordering::Relaxed);
        StatusCode::INTERNAL_SERVER_ERROR
    };
    Router::new().route("/", get(handler))
}

#[tokio::test]
async fn twenty_connections_share_the_state_of_one_layer() {
    let calls = Arc::new(AtomicUsize::new(0));
    let breaker = CircuitBreakerLayer::new("route").classify(HttpStatus::new());
    let handle = breaker.handle();
    let router = failing(&calls).layer(AbsorbLayer::new(breaker, respond));
    let (address, client) = serve(router).await;

    let mut statuses = Vec::new();
    for _ in 0..20 {
        let uri = format!("http://{address}/").parse().unwrap();
        statuses.push(client.get(uri).await.unwrap().status());
    }

    // Five failures in a row open the circuit, whichever connection each came over.
    assert_eq!(calls.load(Ordering::Relaxed), 5);
    let (failed, refused) = statuses.split_at(5);
    assert!(
        failed
            .iter()
            .all(|status| *status == StatusCode::INTERNAL_SERVER_ERROR)
    );
    assert!(
        refused
            .iter()
            .all(|status| *status == StatusCode::SERVICE_UNAVAILABLE)
    );
    assert_eq!(handle.state(), State::Open);
}

#[tokio::test]
async fn an_open_circuit_answers_with_retry_after() {
    let calls = Arc::new(AtomicUsize::new(0));
    let breaker = CircuitBreakerLayer::new("route").classify(HttpStatus::new());
    let handle = breaker.handle();
    let router = failing(&calls).layer(AbsorbLayer::new(breaker, respond));
    let (address, client) = serve(router).await;
    handle.open_for(Duration::from_secs(40));

    let uri = format!("http://{address}/").parse().unwrap();
    let response = client.get(uri).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let wait: u64 = response.headers()[RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((38..=40).contains(&wait), "{wait}");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"route: circuit open"), "{body:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_stack_of_layers_goes_into_a_router_and_stays_infallible() {
    let hanging = Router::new().route("/", get(std::future::pending::<()>));
    let layers = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_millis(50)))
        .layer(CircuitBreakerLayer::new("route").classify(HttpStatus::new()))
        .into_inner();
    let absorb = AbsorbLayer::new(layers, respond);

    // The router accepts a layer only if the whole cannot fail.
    fn cannot_fail<S>(_: &S)
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
    }
    cannot_fail(&absorb.layer(hanging.clone()));

    let (address, client) = serve(hanging.layer(absorb)).await;
    let uri = format!("http://{address}/").parse().unwrap();
    let response = client.get(uri).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"total limit reached"), "{body:?}");
}

#[tokio::test]
async fn a_path_that_is_not_there_bars_no_other_where_nothing_opens_at_once() {
    let breaker = Policy::new()
        .at_once(FaultKinds::NONE)
        .layer("routes")
        .classify(HttpStatus::new());
    let circuit = breaker.handle();
    let router = Router::new().route("/", get(|| async { "here" }));
    let (address, client) = serve(router.layer(AbsorbLayer::new(breaker, respond))).await;
    for (path, status) in [("gone", 404), ("gone", 404), ("", 200)] {
        let uri = format!("http://{address}/{path}").parse().unwrap();
        assert_eq!(client.get(uri).await.unwrap().status(), status);
    }
    assert_eq!(circuit.state(), State::Closed);
}
