//! What an answer cost, and why it ended.

use std::fmt;

/// Tokens used. Every figure counts what its name says whatever the dialect: cached tokens are
/// part of the input, thoughts part of the output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the request, cached ones included.
    pub input: u64,
    /// Of these, how many were read from a cache.
    pub cached: u64,
    /// Of these, how many were written to one.
    pub cache_write: u64,
    /// Tokens of the answer, thoughts included.
    pub output: u64,
    /// Of these, how many were thoughts.
    pub reasoning: u64,
}

impl Usage {
    /// So many tokens in, so many out.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            cached: 0,
            cache_write: 0,
            output,
            reasoning: 0,
        }
    }

    /// Tokens in and out.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// This and `other` together: an answer and its continuation are both billed.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached: self.cached.saturating_add(other.cached),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FinishReason {
    /// A filter cut it, or the model refused.
    ContentFilter,
    /// The provider says that something went wrong.
    Error,
    /// The limit of tokens was reached.
    Length,
    /// The provider paused; the turn is sent back for more.
    Pause,
    /// It was finished, or came to a stop text.
    Stop,
    /// The model asks for a tool.
    ToolCalls,
    /// A reason that this vocabulary does not know, in the provider's own word.
    Other(String),
}

impl FinishReason {
    /// The reason in one word: `stop`, `length`, `tool_calls`, `content_filter`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ContentFilter => "content_filter",
            Self::Error => "error",
            Self::Length => "length",
            Self::Pause => "pause",
            Self::Stop => "stop",
            Self::ToolCalls => "tool_calls",
            Self::Other(word) => word,
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
