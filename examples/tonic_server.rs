//! Run with: cargo run -p backstop-examples --example tonic_server
//!
//! The layers inside a tonic server: a circuit that watches streams to their end, and a limit on
//! the call. What they refuse is answered with a gRPC status.

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{Open, Policy};
use backstop_core::{AbsorbLayer, BoxError, Elapsed, FaultKinds, GrpcHttp};
use backstop_examples::greeter::{
    Greetings, HelloReply, HelloRequest,
    greeter_client::GreeterClient,
    greeter_server::{Greeter, GreeterServer},
};
use backstop_timeout::TimeoutLayer;
use futures_util::stream;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower::ServiceBuilder;

/// A greeter whose streams break off after the first greeting.
struct Broken;

#[tonic::async_trait]
impl Greeter for Broken {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        std::future::pending().await
    }

    type SayHellosStream = Greetings;

    async fn say_hellos(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Greetings>, Status> {
        let message = format!("hello, {}", request.into_inner().name);
        let greetings = vec![
            Ok(HelloReply { message }),
            Err(Status::internal("lost for words")),
        ];
        Ok(Response::new(stream::iter(greetings)))
    }
}

/// The status that a layer's error is answered with.
fn respond(error: BoxError) -> http::Response<Body> {
    let status = if let Some(elapsed) = error.downcast_ref::<Elapsed>() {
        elapsed.clone().into()
    } else if let Some(open) = error.downcast_ref::<Open>() {
        open.clone().into()
    } else {
        Status::from_error(error)
    };
    status.into_http()
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let breaker = Policy::new()
        .consecutive(NonZeroU32::new(2).ok_or("two is not zero")?)
        // What is not found, or not allowed, says nothing of other calls.
        .at_once(FaultKinds::NONE)
        .layer("greeter")
        .classify(GrpcHttp::new());
    let circuit = breaker.handle();
    let layers = ServiceBuilder::new()
        .layer(TimeoutLayer::new().response(Duration::from_millis(100)))
        // A watched body is another type: the server takes any of them, boxed.
        .map_response(|response: http::Response<_>| response.map(Body::new))
        .layer(breaker.until_end())
        .into_inner();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let server = Server::builder()
        .layer(AbsorbLayer::new(layers, respond))
        .add_service(GreeterServer::new(Broken));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let channel = Endpoint::from_shared(address)?.connect().await?;
    let mut client = GreeterClient::new(channel);
    if let Err(status) = client.say_hello(HelloRequest::default()).await {
        println!("{:?}: {}", status.code(), status.message());
    }
    for name in ["Grace", "Edsger"] {
        let request = HelloRequest { name: name.into() };
        match client.say_hellos(request).await {
            Ok(mut stream) => {
                while let Ok(Some(greeting)) = stream.get_mut().message().await {
                    println!("{}, and the stream broke off", greeting.message);
                }
            }
            Err(status) => println!("{:?}: {}", status.code(), status.message()),
        }
        println!("circuit {}", circuit.state());
    }
    Ok(())
}
