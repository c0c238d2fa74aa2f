//! What differs from one provider's API to another's.

mod anthropic;
mod chat;
mod gemini;
mod openai;
mod responses;

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use crate::{ask::Ask, problem::Problem, turn::Turn};

/// The API that a stand-in speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// Anthropic's Messages.
    Anthropic,
    /// Gemini's generateContent and streamGenerateContent.
    Gemini,
    /// OpenAI's Chat Completions and Responses, as most other servers speak it too.
    OpenAi,
}

/// What a path asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    Chat {
        deployment: Option<String>,
    },
    Responses,
    Messages,
    Generate {
        model: String,
        framing: Option<Framing>,
    },
    CountTokens {
        model: Option<String>,
    },
    Models,
    Model(String),
}

/// How Gemini frames a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// Server-sent events (`alt=sse`).
    Events,
    /// One JSON array, element by element.
    Array,
}

/// A streamed reply.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// What comes before the first content.
    pub(crate) opening: Vec<Bytes>,
    /// The content, a chunk each.
    pub(crate) content: Vec<Bytes>,
    /// What ends the reply well.
    pub(crate) closing: Vec<Bytes>,
}

/// An error as the dialect words it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What an answer carries beside its content.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// The id of the request, as in the answer's headers.
    pub(crate) request_id: String,
    /// Now, in seconds since 1970.
    pub(crate) created: u64,
}

// ===== impl Dialect =====

impl Dialect {
    /// Finds what a request is for.
    pub(crate) fn route(self, method: &Method, path: &str, query: &str) -> Option<Route> {
        match self {
            Self::Anthropic => anthropic::route(method, path),
            Self::Gemini => gemini::route(method, path, query),
            Self::OpenAi => openai::route(method, path),
        }
    }

    /// Checks the key of a request, and what else the dialect wants in its headers.
    pub(crate) fn admit(
        self,
        headers: &HeaderMap,
        query: &str,
        key: Option<&str>,
    ) -> Result<(), Problem> {
        if let Some(key) = key {
            let given = match self {
                Self::Anthropic => header(headers, "x-api-key").or_else(|| bearer(headers)),
                Self::Gemini => header(headers, "x-goog-api-key")
                    .or_else(|| query.split('&').find_map(|pair| pair.strip_prefix("key="))),
                Self::OpenAi => bearer(headers).or_else(|| header(headers, "api-key")),
            };
            match given {
                None => return Err(Problem::NoKey),
                Some(given) if given != key => {
                    return Err(match self {
                        Self::Gemini => Problem::InvalidKey,
                        Self::Anthropic | Self::OpenAi => Problem::WrongKey,
                    });
                }
                Some(_) => {}
            }
        }
        match self {
            Self::Anthropic => anthropic::check_version(headers),
            Self::Gemini | Self::OpenAi => Ok(()),
        }
    }

    /// Words an error. The model is the one that was asked for, as far as it is known.
    pub(crate) fn failure(self, problem: &Problem, model: &str, stamp: &Stamp) -> Failure {
        match self {
            Self::Anthropic => anthropic::failure(problem, model, stamp),
            Self::Gemini => gemini::failure(problem, model),
            Self::OpenAi => openai::failure(problem, model),
        }
    }

    /// The headers that every answer carries.
    pub(crate) fn headers(self, stamp: &Stamp) -> HeaderMap {
        match self {
            Self::Anthropic => anthropic::headers(stamp),
            Self::Gemini => gemini::headers(),
            Self::OpenAi => openai::headers(stamp),
        }
    }

    /// The list of the models.
    pub(crate) fn models(self, models: &[String], stamp: &Stamp) -> Value {
        match self {
            Self::Anthropic => anthropic::models(models),
            Self::Gemini => gemini::models(models),
            Self::OpenAi => openai::models(models, stamp),
        }
    }

    /// One model of the list.
    pub(crate) fn model(self, model: &str, stamp: &Stamp) -> Value {
        match self {
            Self::Anthropic => anthropic::model(model),
            Self::Gemini => gemini::model(model),
            Self::OpenAi => openai::model(model, stamp),
        }
    }

    /// A length in tokens.
    pub(crate) fn count(self, tokens: u64) -> Value {
        match self {
            Self::Gemini => gemini::count(tokens),
            Self::Anthropic | Self::OpenAi => anthropic::count(tokens),
        }
    }

    pub(crate) fn new_request_id(self) -> String {
        match self {
            Self::Anthropic => crate::ids::base58("req_011", 21),
            Self::Gemini | Self::OpenAi => crate::ids::hex("req_", 32),
        }
    }

    /// What this dialect's models do with a trailing assistant message, unless it is said.
    pub(crate) const fn prefill(self) -> crate::Prefill {
        match self {
            Self::Anthropic | Self::Gemini => crate::Prefill::Accept,
            Self::OpenAi => crate::Prefill::Ignore,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::OpenAi => "openai",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "anthropic" => Ok(Self::Anthropic),
            "gemini" => Ok(Self::Gemini),
            "openai" => Ok(Self::OpenAi),
            _ => Err(UnknownDialect(name.to_owned())),
        }
    }
}

/// There is no dialect of this name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownDialect(String);

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown dialect {:?}: it is one of anthropic, gemini, openai",
            self.0
        )
    }
}

impl std::error::Error for UnknownDialect {}

// ===== impl Route =====

impl Route {
    /// Reads a request, refusing what the real API refuses.
    pub(crate) fn read(&self, body: &Value) -> Result<Ask, Problem> {
        match self {
            Self::Chat { deployment } => chat::read(body, deployment.as_deref()),
            Self::Responses => responses::read(body),
            Self::Messages => anthropic::read(body, anthropic::For::Reply),
            Self::CountTokens { model: None } => anthropic::read(body, anthropic::For::Count),
            Self::CountTokens { model: Some(model) } => gemini::read(body, model, false),
            Self::Generate { model, framing } => gemini::read(body, model, framing.is_some()),
            Self::Models | Self::Model(_) => Ok(Ask::default()),
        }
    }

    /// A plain reply.
    pub(crate) fn whole(&self, turn: &Turn, stamp: &Stamp) -> Bytes {
        match self {
            Self::Responses => responses::whole(turn, stamp),
            Self::Messages => anthropic::whole(turn),
            Self::Generate { .. } => gemini::whole(turn),
            _ => chat::whole(turn, stamp),
        }
    }

    /// A streamed reply.
    pub(crate) fn frames(&self, turn: &Turn, stamp: &Stamp) -> Frames {
        match self {
            Self::Responses => responses::frames(turn, stamp),
            Self::Messages => anthropic::frames(turn),
            Self::Generate { framing, .. } => {
                gemini::frames(turn, framing.unwrap_or(Framing::Events))
            }
            _ => chat::frames(turn, stamp),
        }
    }

    /// The event by which a stream says that it failed.
    pub(crate) fn error_event(&self) -> Bytes {
        match self {
            Self::Responses => responses::error_event(),
            Self::Messages => anthropic::error_event(),
            Self::Generate { .. } => gemini::error_event(),
            _ => chat::error_event(),
        }
    }

    /// The problem of that event, for a reply that is no stream.
    pub(crate) const fn interruption(&self) -> Problem {
        match self {
            Self::Messages => Problem::Overloaded,
            Self::Generate { .. } => Problem::Unavailable,
            _ => Problem::Server,
        }
    }

    pub(crate) const fn stream_type(&self) -> &'static str {
        match self {
            Self::Generate {
                framing: Some(Framing::Array),
                ..
            } => "application/json; charset=UTF-8",
            Self::Generate { .. } => "text/event-stream",
            _ => "text/event-stream; charset=utf-8",
        }
    }
}

// ===== What the dialects share =====

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    header(headers, "authorization")?.strip_prefix("Bearer ")
}

/// Headers of fixed names and values, and some with values made for the answer.
fn header_map<const N: usize>(fixed: [(&'static str, &'static str); N]) -> HeaderMap {
    let fixed = fixed.map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    HeaderMap::from_iter(fixed)
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Whole seconds, rounded up, as `retry-after` has them.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn failure(status: u16, content_type: &'static str, body: Bytes) -> Failure {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Failure {
        status,
        headers,
        body,
    }
}

/// A JSON string with its quotes and escapes.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A list of strings, or one alone.
fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

fn is_true(body: &Value, field: &str) -> bool {
    body.get(field).and_then(Value::as_bool).unwrap_or(false)
}

/// A field, unless it is absent or null.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|value| !value.is_null())
}

fn text_field(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}
