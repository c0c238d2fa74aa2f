//! The layers round a tonic client and inside a tonic server.

mod greeter;

use std::{error::Error, time::Duration};

use backstop_core::{AbsorbLayer, BoxError, Elapsed, Exhausted, GrpcHttp, GrpcStatus};
use backstop_examples::greeter::{
    HelloReply, HelloRequest, greeter_client::GreeterClient, greeter_server::GreeterServer,
};
use backstop_timeout::{FromHttp, TimeoutLayer};
use tonic::{Code, Request, Response, Status, transport::Channel};
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
