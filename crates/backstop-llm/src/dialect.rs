//! The languages that providers and callers speak.
//!
//! A dialect has two sides. Towards a provider it is a [`Wire`]: it writes requests and reads
//! answers, stream events and errors. Towards a caller it is a [`Front`]: it reads requests and
//! writes answers, stream events and errors. Both sides of one dialect live in one directory, side by
//! side, so that what is written and what is read can be held against each other:
//!
//! ```text
//! src/<dialect>/mod.rs           the unit struct that implements Wire and Front, no logic
//! src/<dialect>/request.rs       parse (from the caller)
//! src/<dialect>/request_out.rs   encode (to the provider)
//! src/<dialect>/response.rs      decode (from the provider), render (to the caller)
//! src/<dialect>/stream.rs        Decoder (from the provider)
//! src/<dialect>/stream_out.rs    Encoder (to the caller)
//! src/<dialect>/error.rs         classify (from the provider), render (to the caller)
//! ```
//!
//! A new dialect is a variant of [`Dialect`] and such a unit struct.

use std::{fmt, str::FromStr};

use backstop_core::ServedBy;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{ChatRequest, Chunk, Completion, Error, Event, Secret, plan::Plan, sse};
use crate::{anthropic::Anthropic, gemini::Gemini, openai::OpenAi, responses::Responses};

/// A language that providers or callers speak.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// Anthropic's Messages.
    Anthropic,
    /// Google's generateContent and streamGenerateContent.
    Gemini,
    /// OpenAI's Chat Completions, and every server that is compatible with them.
    OpenAi,
    /// OpenAI's Responses.
    Responses,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 4] = [Self::Anthropic, Self::Gemini, Self::OpenAi, Self::Responses];

    /// Its name in a configuration: `anthropic`, `openai`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::OpenAi => "openai",
            Self::Responses => "responses",
        }
    }

    /// Its side towards providers.
    #[must_use]
    pub fn wire(self) -> &'static dyn Wire {
        match self {
            Self::Anthropic => &Anthropic,
            Self::Gemini => &Gemini,
            Self::OpenAi => &OpenAi,
            Self::Responses => &Responses,
        }
    }

    /// Its side towards callers. Gemini's has none; such callers are answered in OpenAI's dialect,
    /// which the most clients understand.
    #[must_use]
    pub fn front(self) -> &'static dyn Front {
        match self {
            Self::Anthropic => &Anthropic,
            Self::Gemini | Self::OpenAi => &OpenAi,
            Self::Responses => &Responses,
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

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.as_str() == name)
            .ok_or(UnknownDialect)
    }
}

/// There is no dialect of that name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownDialect;

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown dialect, expected one of")?;
        for (i, dialect) in Dialect::ALL.iter().enumerate() {
            write!(f, "{} {dialect}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownDialect {}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// What is added to the provider's base URL, query included: `/chat/completions`.
    pub path: String,
    /// Headers beside authorisation and content type.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A dialect's side towards providers.
pub trait Wire: Send + Sync + 'static {
    /// Which dialect this is.
    fn dialect(&self) -> Dialect;

    /// Where the dialect's own provider is: `https://api.openai.com/v1`.
    fn base_url(&self) -> &'static str;

    /// Puts the credential where the provider looks for it.
    fn authorize(&self, key: &Secret, headers: &mut HeaderMap);

    /// Writes a request.
    ///
    /// The plan says what differs from what the caller asked. Where
    /// [`original`](ChatRequest::original) is there and of this dialect, and the plan
    /// [keeps it](Plan::keeps_original), its bytes are sent with those few fields changed
    /// ([`Object`](crate::object::Object)); else `plan.chat(request)` is translated.
    ///
    /// # Errors
    ///
    /// The request holds what this dialect has no words for, and its loss is not allowed.
    fn encode(&self, request: &ChatRequest, plan: &Plan) -> Result<Encoded, Error>;

    /// Reads a plain answer. Its caller keeps the bytes.
    ///
    /// # Errors
    ///
    /// The body is no answer: HTML, empty, of another shape ([`Error::malformed`]), or an error
    /// object under a good status (classified as such).
    fn decode(&self, body: &[u8]) -> Result<Completion, Error>;

    /// A reader for one stream.
    fn decoder(&self) -> Box<dyn Decoder>;

    /// Reads an error answer. `Retry-After` and its like have been read from the headers by the
    /// caller, who applies them; this adds what stands in the body.
    fn error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error;
}

/// Reads one stream, event by event.
pub trait Decoder: Send {
    /// What one event means. Nothing is pushed for an event that means nothing; the raw event is
    /// forwarded to a caller of the same dialect all the same. [`Event::End`] is pushed when the
    /// stream's end marker has come.
    ///
    /// # Errors
    ///
    /// The event is an error, or can't be read. The stream is over.
    fn event(&mut self, event: &sse::SseEvent, out: &mut Vec<Event>) -> Result<(), Error>;

    /// Whether a caller of the same dialect can be passed the last event as it came. One that lacks
    /// what callers take for granted is written anew instead.
    fn passes_on(&self) -> bool {
        true
    }

    /// Whether an event that says nothing but some text changes nothing here, so that one like it
    /// but for the text need not be read.
    fn reads_text_alone(&self) -> bool {
        false
    }

    /// The connection closed cleanly without an end marker: whether the answer is whole all the
    /// same. Some servers send no marker after the finish reason.
    fn is_whole(&self) -> bool;
}

/// A dialect's side towards callers.
pub trait Front: Send + Sync + 'static {
    /// Which dialect this is.
    fn dialect(&self) -> Dialect;

    /// Reads a caller's request. Unknown fields are kept, wrong types are an error.
    ///
    /// # Errors
    ///
    /// The body is no request: a fault of kind `Invalid` whose message says what is wrong.
    fn parse(&self, body: Bytes) -> Result<ChatRequest, Error>;

    /// Writes a plain answer.
    fn render(&self, completion: &Completion) -> Bytes;

    /// A writer for the stream that answers this request.
    fn encoder(&self, request: &ChatRequest) -> Box<dyn Encoder>;

    /// Writes an error as a body. Its status is [`Error::caller_status`].
    fn error(&self, error: &Error) -> Bytes;
}

/// Writes one stream.
pub trait Encoder: Send {
    /// Writes one chunk: its raw bytes where they are of this dialect and may be passed on, else
    /// what its events mean.
    fn chunk(&mut self, chunk: &Chunk, out: &mut Vec<u8>);

    /// Takes note of who served, which is written right before the end marker: to be called before
    /// the chunk that holds [`Event::End`].
    fn served(&mut self, served: &ServedBy, out: &mut Vec<u8>);

    /// Writes an error. No end marker follows it.
    fn error(&mut self, error: &Error, out: &mut Vec<u8>);
}
