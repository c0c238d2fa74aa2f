//! Google's Gemini: generateContent and streamGenerateContent, on AI Studio and on Vertex.
//!
//! It has a side towards providers only: no caller of ours speaks it.

mod error;
mod part;
mod request_out;
mod response;
mod stream;

use http::{HeaderMap, StatusCode};

use crate::{
    ChatRequest, Completion, Dialect, Error, Secret,
    dialect::{Decoder, Encoded, Wire},
    plan::Plan,
};

/// The dialect's side towards providers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gemini;

impl Wire for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn base_url(&self) -> &'static str {
        "https://generativelanguage.googleapis.com/v1beta"
    }

    fn authorize(&self, key: &Secret, headers: &mut HeaderMap) {
        if let Some(value) = key.header() {
            headers.insert("x-goog-api-key", value);
        }
    }

    fn encode(&self, request: &ChatRequest, plan: &Plan) -> Result<Encoded, Error> {
        Ok(request_out::encode(&plan.chat(request)))
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
