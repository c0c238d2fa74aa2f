//! A streamed answer, piece by piece.

use backstop_core::ServedBy;
use bytes::Bytes;

use super::{FinishReason, Usage};
use crate::{Citation, Dialect, Part, Signature};

/// What one piece of a streamed answer means, in words that all dialects share.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A source was named.
    Citation {
        /// Of which answer.
        choice: u32,
        /// The source.
        citation: Citation,
    },
    /// The end marker came: the answer is whole. Nothing follows.
    End,
    /// An answer ended.
    Finish {
        /// Which one.
        choice: u32,
        /// Why.
        reason: FinishReason,
        /// The stop text that it came to.
        stop_sequence: Option<String>,
    },
    /// A part that comes as a whole: a picture, or what only one dialect knows.
    Part {
        /// Of which answer.
        choice: u32,
        /// The part.
        part: Box<Part>,
    },
    /// A sign of life, which is no content.
    Ping,
    /// A thought that only the provider can read.
    RedactedThinking {
        /// Of which answer.
        choice: u32,
        /// The whole encrypted thought.
        data: Signature,
    },
    /// Part of a refusal.
    Refusal {
        /// Of which answer.
        choice: u32,
        /// What is added.
        delta: String,
    },
    /// What proves the last thought, or, where `tool` says so, a tool call.
    Signature {
        /// Of which answer.
        choice: u32,
        /// The tool call that it belongs to.
        tool: Option<u32>,
        /// The proof.
        signature: Signature,
    },
    /// The answer begins.
    Start {
        /// The provider's id for it.
        id: String,
        /// The model that answers.
        model: String,
        /// When, in seconds since 1970, where the provider says so.
        created: Option<u64>,
    },
    /// Part of the text.
    Text {
        /// Of which answer.
        choice: u32,
        /// What is added.
        delta: String,
    },
    /// Part of a thought.
    Thinking {
        /// Of which answer.
        choice: u32,
        /// What is added.
        delta: String,
    },
    /// Part of the arguments of a tool call.
    ToolArguments {
        /// Of which answer.
        choice: u32,
        /// Of which call.
        index: u32,
        /// What is added.
        delta: String,
    },
    /// A tool call begins.
    ToolCall {
        /// Of which answer.
        choice: u32,
        /// Which call of this answer, from 0 on.
        index: u32,
        /// What the result will name.
        id: String,
        /// Which tool.
        name: String,
    },
    /// What it has cost up to now; each one replaces the one before.
    Usage(Usage),
}

impl Event {
    /// Which answer it is about, where it is about one.
    #[must_use]
    pub const fn choice(&self) -> Option<u32> {
        match self {
            Self::Citation { choice, .. }
            | Self::Finish { choice, .. }
            | Self::Part { choice, .. }
            | Self::RedactedThinking { choice, .. }
            | Self::Refusal { choice, .. }
            | Self::Signature { choice, .. }
            | Self::Text { choice, .. }
            | Self::Thinking { choice, .. }
            | Self::ToolArguments { choice, .. }
            | Self::ToolCall { choice, .. } => Some(*choice),
            Self::End | Self::Ping | Self::Start { .. } | Self::Usage(_) => None,
        }
    }

    /// Whether the caller would see it: the first of these is the commit point.
    #[must_use]
    pub fn is_content(&self) -> bool {
        match self {
            Self::Text { delta, .. }
            | Self::Thinking { delta, .. }
            | Self::Refusal { delta, .. } => !delta.is_empty(),
            Self::ToolCall { .. }
            | Self::ToolArguments { .. }
            | Self::RedactedThinking { .. }
            | Self::Part { .. }
            | Self::Citation { .. } => true,
            _ => false,
        }
    }
}

/// Adds a piece of text, unless nothing is in it.
pub(crate) fn push_text(choice: u32, delta: impl AsRef<str> + Into<String>, out: &mut Vec<Event>) {
    if !delta.as_ref().is_empty() {
        let delta = delta.into();
        out.push(Event::Text { choice, delta });
    }
}

/// Adds a piece of a thought, unless nothing is in it.
pub(crate) fn push_thought(choice: u32, delta: String, out: &mut Vec<Event>) {
    if !delta.is_empty() {
        out.push(Event::Thinking { choice, delta });
    }
}

/// One piece of a streamed answer: what it means, and the bytes it came in.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Chunk {
    /// The events as the provider sent them, framing included, for a caller of the same dialect:
    /// one, or some that came together and say nothing but text.
    pub raw: Option<Raw>,
    /// What it means; empty for what only the same dialect knows.
    pub events: Vec<Event>,
    /// Who serves the answer from here on and who did before, where that has changed: the answer
    /// broke off and another candidate goes on with it.
    pub served: Option<ServedBy>,
}

impl Chunk {
    /// A chunk that no provider sent.
    #[must_use]
    pub const fn new(events: Vec<Event>) -> Self {
        Self {
            raw: None,
            events,
            served: None,
        }
    }

    /// Whether there is content in it.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.events.iter().any(Event::is_content)
    }

    /// Whether it ends the stream.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.events.contains(&Event::End)
    }
}

/// Bytes as a provider sent them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Raw {
    /// The dialect they are in.
    pub dialect: Dialect,
    /// The bytes.
    pub bytes: Bytes,
}

impl Raw {
    /// Writes events as they came. Some servers forget the blank line after their last one.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        while !out.ends_with(b"\n\n") && !out.ends_with(b"\n\r\n") {
            out.push(b'\n');
        }
    }
}
