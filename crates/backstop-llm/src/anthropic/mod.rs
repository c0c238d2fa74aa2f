//! Anthropic's Messages, and the servers that speak them.

mod block;
mod error;
mod request;
mod request_out;
mod response;
mod stream;
mod stream_out;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{
    ChatRequest, Completion, Dialect, Error, Secret,
    dialect::{Decoder, Encoded, Encoder, Front, Wire},
    plan::Plan,
};

/// Both sides of the dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anthropic;

impl Wire for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn base_url(&self) -> &'static str {
        "https://api.anthropic.com"
    }

    fn authorize(&self, key: &Secret, headers: &mut HeaderMap) {
        if let Some(value) = key.header() {
            headers.insert("x-api-key", value);
        }
    }

    fn encode(&self, request: &ChatRequest, plan: &Plan) -> Result<Encoded, Error> {
        request_out::encode(request, plan)
    }

    fn decode(&self, body: &[u8]) -> Result<Completion, Error> {
        response::decode(body)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(stream::Reader::default())
    }

    fn error(&self, status: StatusCode, _: &HeaderMap, body: &[u8]) -> Error {
        error::classify(Some(status), body)
    }
}

impl Front for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn parse(&self, body: Bytes) -> Result<ChatRequest, Error> {
        request::parse(body)
    }

    fn render(&self, completion: &Completion) -> Bytes {
        response::render(completion)
    }

    fn encoder(&self, _: &ChatRequest) -> Box<dyn Encoder> {
        Box::new(stream_out::Writer::default())
    }

    fn error(&self, error: &Error) -> Bytes {
        error::render(error)
    }
}
