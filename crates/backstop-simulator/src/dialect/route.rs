use bytes::Bytes;
use serde_json::Value;

use super::{
    Frames, Stamp, anthropic, gemini,
    openai::{chat, responses},
};
use crate::{ask::Ask, problem::Problem, turn::Turn};

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

    /// The model that the path names.
    pub(crate) fn model(&self) -> Option<&str> {
        match self {
            Self::Generate { model, .. }
            | Self::Model(model)
            | Self::Chat {
                deployment: Some(model),
            }
            | Self::CountTokens { model: Some(model) } => Some(model),
            _ => None,
        }
    }

    /// A length in tokens.
    pub(crate) fn count(&self, tokens: u64) -> Value {
        match self {
            Self::CountTokens { model: Some(_) } => gemini::count(tokens),
            _ => anthropic::count(tokens),
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

    /// The event by which a stream says that it failed, be it its first one or not.
    pub(crate) fn error_event(&self, first: bool) -> Bytes {
        match self {
            Self::Responses => responses::error_event(),
            Self::Messages => anthropic::error_event(),
            Self::Generate { framing, .. } => {
                gemini::error_event(framing.unwrap_or(Framing::Events), first)
            }
            _ => chat::error_event(),
        }
    }

    /// What a stream says while it has nothing to say.
    pub(crate) fn ping(&self) -> Bytes {
        match self {
            Self::Messages => anthropic::ping(),
            Self::Generate {
                framing: Some(Framing::Array),
                ..
            } => Bytes::from_static(b"\r\n"),
            _ => Bytes::from_static(b": keep-alive\n\n"),
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
