//! A greeter on loopback that does as the name it is given says.

use std::pin::Pin;

use backstop_examples::greeter::{
    HelloReply, HelloRequest,
    greeter_server::{Greeter, GreeterServer},
};
use futures_util::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint, server::TcpIncoming},
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Script;

fn reply(message: &str) -> HelloReply {
    HelloReply {
        message: message.to_owned(),
    }
}

/// What a server says that has enough for now.
fn busy() -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("grpc-retry-pushback-ms", "20".parse().unwrap());
    Status::with_metadata(Code::ResourceExhausted, "ask later", metadata)
}

#[tonic::async_trait]
impl Greeter for Script {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        match request.get_ref().name.as_str() {
            "busy" => Err(busy()),
            "down" => Err(Status::unavailable("down")),
            "hang" => std::future::pending().await,
            name => Ok(Response::new(reply(&format!("hello {name}")))),
        }
    }

    type SayHellosStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn say_hellos(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Self::SayHellosStream>, Status> {
        let first = stream::iter([Ok(reply("hello")), Ok(reply("again"))]);
        Ok(Response::new(match request.get_ref().name.as_str() {
            "cut" => first
                .chain(stream::iter([Err(Status::unavailable("gone"))]))
                .boxed(),
            "stall" => first.chain(stream::pending()).boxed(),
            _ => first.boxed(),
        }))
    }
}

/// Serves the script, and gives a channel to it.
pub(crate) async fn serve() -> Channel {
    serve_with(tonic::transport::Server::builder().add_service(GreeterServer::new(Script))).await
}

/// Serves a router, and gives a channel to it.
pub(crate) async fn serve_with<L>(router: tonic::transport::server::Router<L>) -> Channel
where
    L: tower::Layer<tonic::service::Routes> + Clone + Send + 'static,
    L::Service: tower::Service<
            http::Request<tonic::body::Body>,
            Response = http::Response<tonic::body::Body>,
            Error: Into<tower::BoxError> + Send,
            Future: Send,
        > + Clone
        + Send
        + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}
