//! One file for each way to use Backstop, and here what several of them share.

/// A greeter over gRPC: the smallest service that has both a plain and a streamed answer.
#[expect(
    unused_qualifications,
    clippy::allow_attributes,
    reason = "tonic writes the client and the server its own way"
)]
pub mod greeter {
    /// Whom to greet.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HelloRequest {
        /// The name to greet.
        #[prost(string, tag = "1")]
        pub name: String,
    }

    /// A greeting.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HelloReply {
        /// The greeting itself.
        #[prost(string, tag = "1")]
        pub message: String,
    }

    include!(concat!(env!("OUT_DIR"), "/backstop.examples.Greeter.rs"));
}
