//! One file for each way to use Backstop, and here what several of them share.

/// A greeter over gRPC: the smallest service that has both a plain and a streamed answer.
#[expect(
    unused_qualifications,
    clippy::allow_attributes,
    reason = "tonic writes the client and the server its own way"
)]
pub mod greeter {
    use std::vec::IntoIter;

    use futures_util::stream::Iter;
    use tonic::Status;

    /// Whom to greet.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HelloRequest {
        /// The name to greet.
        #[prost(string, tag = "1")]
        pub name: String,
    }

    /// What a stream of greetings is made of here: all of them at hand.
    pub type Greetings = Iter<IntoIter<Result<HelloReply, Status>>>;

    /// A greeting.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HelloReply {
        /// The greeting itself.
        #[prost(string, tag = "1")]
        pub message: String,
    }

    include!(concat!(env!("OUT_DIR"), "/backstop.examples.Greeter.rs"));
}
