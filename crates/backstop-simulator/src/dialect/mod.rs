//! What differs from one provider's API to another's.

mod anthropic;
mod fields;
mod gemini;
mod openai;
mod route;

use std::{fmt, str::FromStr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use self::fields::{bearer, header};
pub(crate) use self::route::{Framing, Route};
use crate::{ids, key::Key, problem::Problem, turn::Prefill};

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

// ===== impl Failure =====

impl Failure {
    fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = (CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self {
            status,
            headers: HeaderMap::from_iter([content_type]),
            body: body.into(),
        }
    }
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
        key: Option<&Key>,
    ) -> Result<(), Problem> {
        if let Some(Key(key)) = key {
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

    /// Words an error. Route and model are those that were asked for, as far as they are known.
    pub(crate) fn failure(
        self,
        problem: &Problem,
        route: Option<&Route>,
        model: &str,
        stamp: &Stamp,
    ) -> Failure {
        match self {
            Self::Anthropic => anthropic::failure(problem, model, stamp),
            Self::Gemini => gemini::failure(problem, route, model),
            Self::OpenAi => openai::failure(problem, route, model),
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

    pub(crate) fn new_request_id(self) -> String {
        match self {
            Self::Anthropic => ids::base58("req_011", 21),
            Self::Gemini | Self::OpenAi => ids::hex("req_", 32),
        }
    }

    /// What this dialect's models do with a trailing assistant message, unless it is said.
    pub(crate) const fn prefill(self) -> Prefill {
        match self {
            Self::Anthropic | Self::Gemini => Prefill::Accept,
            Self::OpenAi => Prefill::Ignore,
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
        let all = [Self::Anthropic, Self::Gemini, Self::OpenAi];
        let known = all.into_iter().find(|dialect| dialect.as_str() == name);
        known.ok_or_else(|| UnknownDialect(name.to_owned()))
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
