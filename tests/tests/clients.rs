//! The layers round the HTTP clients that are tower services already.

#![cfg(test)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use backstop_circuit_breaker::{CircuitBreakerLayer, State as Circuit};
use backstop_core::{BoxError, Fault, FaultKind, HttpStatus, Stamp, Verdict, classify_fn, context};
use backstop_fallback::FallbackLayer;
use backstop_retry::{Exponential, Replay, ReplayBody, RetryLayer};
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};

/// Fails the first calls, then echoes.
#[derive(Clone)]
struct Echo {
    calls: Arc<AtomicUsize>,
    failures: usize,
}

async fn echo(State(echo): State<Echo>, body: String) -> Result<String, StatusCode> {
    if echo.calls.fetch_add(1, Ordering::Relaxed) < echo.failures {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    Ok(body)
}

async fn serve(failures: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let echo_state = Echo {
        calls: calls.clone(),
        failures,
    };
    let router = Router::new().route("/", post(echo)).with_state(echo_state);
    tokio::spawn(axum::serve(listener, router).into_future());
    (address, calls)
}

fn soon() -> Exponential {
    Exponential::new(Duration::from_millis(1), Duration::from_millis(2)).unwrap()
}

#[tokio::test]
async fn five_layers_round_the_client_of_hyper_util_replay_a_body_and_say_who_answered() {
    let (first, first_calls) = serve(usize::MAX).await;
    let (second, second_calls) = serve(1).await;
    let client = Client::builder(TokioExecutor::new()).build_http::<ReplayBody<Full<Bytes>>>();
    let to = |address: SocketAddr| {
        move |request: Request<ReplayBody<Full<Bytes>>>| {
            let (mut parts, body) = request.into_parts();
            parts.uri = format!("http://{address}/").parse().unwrap();
            Request::from_parts(parts, body)
        }
    };
    let retry = || {
        RetryLayer::new()
            .classify(HttpStatus::new())
            .backoff(soon())
            .clone_request(Replay::new())
    };
    let breaker = CircuitBreakerLayer::new("first").classify(HttpStatus::new());
    let circuit = breaker.handle();
    let backup = ServiceBuilder::new()
        .layer(ServedByLayer::new("second"))
        .layer(retry())
        .layer(
            CircuitBreakerLayer::new("second")
                .classify(HttpStatus::new())
                .until_end(),
        )
        .layer(TimeoutLayer::new().response(Duration::from_secs(20)))
        .map_request(to(second))
        .map_err(BoxError::from)
        .service(client.clone());
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(60)))
        .layer(FallbackLayer::new(backup).classify(HttpStatus::new()))
        .layer(ServedByLayer::new("first"))
        .layer(retry())
        .layer(breaker.until_end())
        .layer(TimeoutLayer::new().response(Duration::from_secs(20)))
        .map_request(to(first))
        .map_err(BoxError::from)
        .service(client);

    let body = ReplayBody::new(Full::new(Bytes::from_static(b"hello")));
    let request = Request::post("/").body(body).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let served = response.served_by().unwrap().clone();
    let echoed = response.into_body().collect().await.unwrap().to_bytes();

    assert_eq!(echoed, "hello");
    assert_eq!(&*served.name, "second");
    assert_eq!(first_calls.load(Ordering::Relaxed), 3);
    assert_eq!(second_calls.load(Ordering::Relaxed), 2);
    let names: Vec<_> = served
        .trail
        .attempts()
        .iter()
        .map(|it| it.candidate.as_deref())
        .collect();
    assert_eq!(
        names,
        [Some("first"), Some("first"), Some("first"), Some("second")]
    );
    assert_eq!(circuit.counts().consecutive_failures, 3);
}

#[tokio::test]
async fn reqwest_as_a_service_is_tried_again_and_its_error_is_reached_by_source() {
    let (address, calls) = serve(1).await;
    let verdict = |result: Result<&reqwest::Response, &BoxError>| match result {
        Ok(response) => match HttpStatus::kind(response.status()) {
            Some(kind) => Fault::new(kind).into(),
            None => Verdict::Success,
        },
        Err(_) => Fault::new(FaultKind::Connect).into(),
    };
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(60)))
        .layer(
            RetryLayer::new()
                .classify(classify_fn(verdict))
                .backoff(soon())
                .clone_request_fn(reqwest::Request::try_clone),
        )
        .layer(CircuitBreakerLayer::new("echo").classify(classify_fn(verdict)))
        .layer(TimeoutLayer::new().response(Duration::from_secs(20)))
        .map_err(BoxError::from)
        .service(reqwest::Client::new());

    let request = reqwest::Client::new()
        .post(format!("http://{address}/"))
        .body("hello")
        .build()
        .unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "hello");
    assert_eq!(calls.load(Ordering::Relaxed), 2);

    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let request = reqwest::Request::new(
        http::Method::GET,
        format!("http://{gone}/").parse().unwrap(),
    );
    let (result, trail) = context::traced(service.oneshot(request)).await;
    let error = result.unwrap_err();
    assert!(
        error.downcast_ref::<reqwest::Error>().unwrap().is_connect(),
        "{error}"
    );
    assert_eq!(trail.attempts().len(), 3);
}

#[tokio::test]
async fn a_body_that_breaks_off_after_a_good_status_is_a_failure_and_one_let_go_is_not() {
    let breaker = CircuitBreakerLayer::new("server").classify(HttpStatus::new());
    let circuit = breaker.handle();
    // Three bytes are promised and one is sent.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n.";
            let _ = stream.write_all(answer).await;
        }
    });
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let service = ServiceBuilder::new()
        .layer(breaker.until_end())
        .map_err(BoxError::from)
        .service(client);
    let request = || {
        Request::get(format!("http://{address}/"))
            .body(Full::default())
            .unwrap()
    };

    let dropped = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(dropped.body().size_hint().exact(), Some(3));
    drop(dropped);
    assert_eq!(circuit.counts().calls, 0);

    let read = service.oneshot(request()).await.unwrap();
    read.into_body().collect().await.unwrap_err();
    assert_eq!((circuit.counts().calls, circuit.counts().failures), (1, 1));
    assert_eq!(circuit.state(), Circuit::Closed);
}
