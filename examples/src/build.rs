//! Makes the client and the server of the examples' gRPC service, without a `.proto` file and so
//! without `protoc`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("crate::greeter::HelloRequest")
            .output_type("crate::greeter::HelloReply")
            .codec_path("tonic_prost::ProstCodec")
    };
    let greeter = Service::builder()
        .name("Greeter")
        .package("backstop.examples")
        .method(method("say_hello", "SayHello").build())
        .method(method("say_hellos", "SayHellos").server_streaming().build())
        .build();
    Builder::new().compile(&[greeter]);
}
