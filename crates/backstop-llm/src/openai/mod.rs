//! OpenAI's Chat Completions, and the servers that are compatible with them: vLLM, SGLang, Ollama,
//! llama.cpp, OpenRouter, Groq, Mistral, DeepSeek, Azure and others.

mod base_resp;
mod calls;
pub(crate) mod error;
mod message;
mod part;
mod plain;
mod prefix;
mod request;
mod request_out;
mod response;
mod stream;
mod stream_out;
mod thought;
mod tool_id;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};

pub(crate) use self::{
    request_out::{is_operators, write_schema, write_tool_choice},
    thought::WireExtra,
};
use crate::{
    ChatRequest, Completion, Dialect, Error, Secret,
    dialect::{Decoder, Encoded, Encoder, Front, Wire},
    plan::Plan,
};

/// Both sides of the dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenAi;

impl Wire for OpenAi {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAi
    }

    fn base_url(&self) -> &'static str {
        "https://api.openai.com/v1"
    }

    fn authorize(&self, key: &Secret, headers: &mut HeaderMap) {
        if let Some(value) = key.bearer().header() {
            headers.insert(AUTHORIZATION, value);
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

impl Front for OpenAi {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAi
    }

    fn parse(&self, body: Bytes) -> Result<ChatRequest, Error> {
        request::parse(body)
    }

    fn render(&self, completion: &Completion) -> Bytes {
        response::render(completion)
    }

    fn encoder(&self, request: &ChatRequest) -> Box<dyn Encoder> {
        Box::new(stream_out::Writer::new(request.chat().include_usage))
    }

    fn error(&self, error: &Error) -> Bytes {
        error::render(error)
    }
}
