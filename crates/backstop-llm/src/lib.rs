#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod abilities;
pub mod dialect;
pub mod object;
pub mod plan;
pub mod sse;

mod anthropic;
mod classify;
mod clock;
mod continuation;
mod error;
mod gemini;
mod json;
mod json_write;
mod lenient;
mod openai;
mod provider;
mod read;
mod request;
mod response;
mod responses;
mod secret;
mod tail;
mod transport;
mod wire_text;
mod wrong;

pub use self::{
    abilities::{Abilities, Need, Needs, Resumes},
    classify::ChatClassifier,
    continuation::{Continue, ContinueLayer},
    dialect::{Dialect, UnknownDialect},
    error::{Error, sanitise},
    json::Json,
    provider::{Commit, InvalidProvider, Model, Provider, ProviderBuilder, SystemPrompt},
    request::{
        Audio, Chat, ChatRequest, Citation, Document, Function, Image, Message, Original, Part,
        Reasoning, ReasoningMode, ResponseFormat, Resume, Role, Sampling, Signature, Source,
        Thinking, Tool, ToolCall, ToolChoice, ToolResult, text_of,
    },
    response::{
        ChatBody, ChatResponse, ChatStream, Choice, Chunk, Collector, Completion, Event,
        FinishReason, Raw, Usage,
    },
    secret::Secret,
};
