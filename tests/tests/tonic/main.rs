//! The layers round a tonic client and inside a tonic server.

#![cfg(test)]

mod greeter;

use std::{error::Error, num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, Policy, State};
use backstop_core::{AbsorbLayer, BoxError, Elapsed, Exhausted, GrpcHttp, GrpcStatus, Stamp};
use backstop_examples::greeter::{
    HelloReply, HelloRequest, greeter_client::GreeterClient, greeter_server::GreeterServer,
};
use backstop_fallback::FallbackLayer;
use backstop_retry::RetryLayer;
use backstop_served_by::ServedByLayer;
use backstop_timeout::{FromHttp, TimeoutLayer};
use tonic::{Code, Response, Status, transport::Channel};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::greeter::{Script, serve, serve_with};

/// One method of a client, as a service of plain messages.
fn say_hello(
    channel: Channel,
) -> impl Service<HelloRequest, Response = Response<HelloReply>, Error = Status, Future: Send>
+ Clone
+ Send
+ 'static {
    let client = GreeterClient::new(channel);
    service_fn(move |request: HelloRequest| {
        let mut client = client.clone();
        async move { client.say_hello(request).await }
    })
}

fn hello(name: &str) -> HelloRequest {
    HelloRequest {
        name: name.to_owned(),
    }
}

/// The first `E` that `source()` leads to.
fn source<'a, E: Error + 'static>(mut error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    loop {
        match error.downcast_ref() {
            Some(found) => return Some(found),
            None => error = error.source()?,
        }
    }
}

#[tokio::test]
async fn a_limit_round_a_method_ends_as_deadline_exceeded() {
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_millis(50)))
        .service(say_hello(serve().await));
    let status = service.oneshot(hello("hang")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(source::<Elapsed>(&status).is_some(), "{status:?}");
}

#[tokio::test]
async fn a_limit_round_a_channel_ends_as_deadline_exceeded() {
    let channel = ServiceBuilder::new()
        .layer(TimeoutLayer::new().response(Duration::from_millis(50)))
        .map_err(|error: tonic::transport::Error| Status::from_error(error.into()))
        .service(serve().await);
    let status = GreeterClient::new(channel)
        .say_hello(hello("hang"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_limit_in_a_server_ends_as_deadline_exceeded() {
    let layers = ServiceBuilder::new().layer(
        TimeoutLayer::new()
            .total(Duration::from_millis(50))
            .per_request(FromHttp::new()),
    );
    let layer = AbsorbLayer::new(layers, |error: BoxError| {
        match error.downcast::<Elapsed>() {
            Ok(elapsed) => Status::from(*elapsed),
            Err(error) => Status::from_error(error),
        }
        .into_http()
    });
    let server = tonic::transport::Server::builder().layer(layer);
    let router = server.clone().add_service(GreeterServer::new(Script));
    let mut client = GreeterClient::new(serve_with(router).await);
    let status = client.say_hello(hello("hang")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(
        status.message().starts_with("total limit reached"),
        "{status}"
    );
    assert_eq!(
        client
            .say_hello(hello("ada"))
            .await
            .unwrap()
            .get_ref()
            .message,
        "hello ada"
    );
}

/// The whole stack round one method of a client.
fn stack(
    channel: &Channel,
) -> impl Service<HelloRequest, Response = Response<HelloReply>, Error = Status> + Clone + use<> {
    let candidate = |name: &'static str| {
        ServiceBuilder::new()
            .layer(ServedByLayer::new(name))
            .layer(RetryLayer::new().classify(GrpcStatus::new()))
            .layer(CircuitBreakerLayer::new(name).classify(GrpcStatus::new()))
            .layer(TimeoutLayer::new().response(Duration::from_secs(20)))
            .service(say_hello(channel.clone()))
    };
    ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(60)))
        .layer(FallbackLayer::new(candidate("backup")).classify(GrpcStatus::new()))
        .service(candidate("first"))
}

#[tokio::test]
async fn an_answer_through_five_layers_says_who_gave_it() {
    let reply = stack(&serve().await).oneshot(hello("ada")).await.unwrap();
    assert_eq!(&*reply.served_by().unwrap().name, "first");
    assert_eq!(reply.into_inner().message, "hello ada");
}

#[tokio::test]
async fn a_status_is_reached_through_five_layers_by_its_source() {
    let error = stack(&serve().await)
        .oneshot(hello("busy"))
        .await
        .unwrap_err();
    // The stack's own error is a status as well, of the same code, and tells what was tried.
    assert_eq!(error.code(), Code::ResourceExhausted);
    let exhausted: &Exhausted = source(error.source().unwrap()).unwrap();
    assert_eq!(exhausted.trail().candidates(), 2);
    let wait = Duration::from_millis(20);
    assert_eq!(exhausted.retry_after(), Some(wait));
    let status: &Status = source(exhausted).unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "ask later")
    );
    assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
}

#[tokio::test]
async fn a_status_is_reached_through_five_layers_of_boxed_errors_too() {
    let channel = serve().await;
    let candidate = |name: &'static str| {
        ServiceBuilder::new()
            .layer(ServedByLayer::new(name).on_errors())
            .layer(RetryLayer::new())
            .layer(CircuitBreakerLayer::new(name))
            .layer(TimeoutLayer::new().response(Duration::from_secs(20)))
            .map_err(BoxError::from)
            .service(say_hello(channel.clone()))
    };
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(60)))
        .layer(FallbackLayer::new(candidate("backup")))
        .service(candidate("first"));
    let error = service.oneshot(hello("down")).await.unwrap_err();
    assert!(error.is::<Exhausted>());
    let status: &Status = source(&*error).unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "down")
    );
}

/// A client over a channel whose circuit watches streams to their end.
async fn watched() -> (
    GreeterClient<
        impl Service<
            http::Request<tonic::body::Body>,
            Response = http::Response<
                impl http_body::Body<Data = bytes::Bytes, Error = Status> + Send,
            >,
            Error = Status,
            Future: Send,
        > + Clone,
    >,
    CircuitBreaker,
) {
    let breaker = Policy::new()
        .consecutive(NonZeroU32::new(2).unwrap())
        .layer("greeter")
        .classify(GrpcHttp::new());
    let circuit = breaker.handle();
    let channel = ServiceBuilder::new()
        .layer(breaker.until_end())
        .map_err(|error: tonic::transport::Error| Status::from_error(error.into()))
        .service(serve().await);
    (GreeterClient::new(channel), circuit)
}

#[tokio::test]
async fn a_stream_is_judged_by_its_trailers() {
    let (mut client, circuit) = watched().await;
    let mut whole = client.say_hellos(hello("ada")).await.unwrap().into_inner();
    while whole.message().await.unwrap().is_some() {}
    assert_eq!((circuit.counts().calls, circuit.counts().failures), (1, 0));

    let mut cut = client.say_hellos(hello("cut")).await.unwrap().into_inner();
    let status = loop {
        match cut.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!((circuit.counts().calls, circuit.counts().failures), (2, 1));
}

#[tokio::test]
async fn a_stream_that_its_reader_lets_go_is_neutral() {
    let (mut client, circuit) = watched().await;
    let mut stalled = client
        .say_hellos(hello("stall"))
        .await
        .unwrap()
        .into_inner();
    stalled.message().await.unwrap();
    drop(stalled);
    assert_eq!(circuit.counts().calls, 0);
    assert_eq!(circuit.state(), State::Closed);
}

#[tokio::test]
async fn a_call_that_fails_in_its_headers_is_a_failure_to_the_circuit_round_a_channel() {
    let (mut client, circuit) = watched().await;
    for _ in 0..2 {
        client.say_hello(hello("down")).await.unwrap_err();
    }
    assert_eq!(circuit.state(), State::Open);
    let status = client.say_hello(hello("ada")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status.message().starts_with("greeter: circuit open"),
        "{status}"
    );
}
