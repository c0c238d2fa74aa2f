//! Run with: cargo run -p backstop-examples --example tonic_client
//!
//! Retry, circuit breaker and timeout round one method of a tonic client. The error stays a
//! `tonic::Status`: a limit of time ends as DEADLINE_EXCEEDED, an open circuit as UNAVAILABLE.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use backstop_circuit_breaker::CircuitBreakerLayer;
use backstop_core::{BoxError, GrpcStatus, context};
use backstop_examples::greeter::{
    Greetings, HelloReply, HelloRequest,
    greeter_client::GreeterClient,
    greeter_server::{Greeter, GreeterServer},
};
use backstop_retry::RetryLayer;
use backstop_timeout::TimeoutLayer;
use futures_util::stream;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower::{ServiceBuilder, ServiceExt, service_fn};

/// A greeter that is not there for the first two calls, and never answers Godot.
struct Shy(AtomicU32);

#[tonic::async_trait]
impl Greeter for Shy {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let name = request.into_inner().name;
        if self.0.fetch_add(1, Ordering::Relaxed) < 2 {
            return Err(Status::unavailable("not yet"));
        } else if name == "Godot" {
            std::future::pending::<()>().await;
        }
        let message = format!("hello, {name}");
        Ok(Response::new(HelloReply { message }))
    }

    type SayHellosStream = Greetings;

    async fn say_hellos(&self, _: Request<HelloRequest>) -> Result<Response<Greetings>, Status> {
        Ok(Response::new(stream::iter(Vec::new())))
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder().add_service(GreeterServer::new(Shy(AtomicU32::new(0))));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let client = GreeterClient::new(
        Endpoint::from_shared(format!("http://{address}"))?
            .connect()
            .await?,
    );
    let say_hello = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_millis(500)))
        .layer(RetryLayer::new().classify(GrpcStatus::new()))
        .layer(CircuitBreakerLayer::new("greeter").classify(GrpcStatus::new()))
        .service(service_fn(move |request: HelloRequest| {
            let mut client = client.clone();
            async move { client.say_hello(request).await }
        }));

    for name in ["Ada", "Godot"] {
        let request = HelloRequest { name: name.into() };
        let (answer, trail) = context::traced(say_hello.clone().oneshot(request)).await;
        for attempt in trail.attempts() {
            println!("on the way: {attempt}");
        }
        match answer {
            Ok(reply) => println!("{}", reply.into_inner().message),
            Err(status) => println!("{:?}: {}", status.code(), status.message()),
        }
    }
    Ok(())
}
