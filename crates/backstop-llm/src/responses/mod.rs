//! OpenAI's Responses, without state: what is stored at the provider is the provider's affair.

mod item;
mod item_out;
mod request;
mod request_out;
mod response;
mod stream;
mod stream_items;
mod stream_out;
mod whole;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{
    ChatRequest, Completion, Dialect, Error, Secret,
    dialect::{Decoder, Encoded, Encoder, Front, Wire},
    openai::{OpenAi, error},
    plan::Plan,
};

/// Both sides of the dialect. Its credentials and errors are those of Chat Completions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Responses;

impl Wire for Responses {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn base_url(&self) -> &'static str {
        OpenAi.base_url()
    }

    fn authorize(&self, key: &Secret, headers: &mut HeaderMap) {
        OpenAi.authorize(key, headers);
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

impl Front for Responses {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
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

#[cfg(test)]
mod tests;
