//! A whole answer.

use super::{FinishReason, Usage};
use crate::{Json, Part, request::text_of};

/// A whole answer, in words that all dialects share.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Completion {
    /// The provider's id for it.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// When, in seconds since 1970, where the provider says so. A front whose dialect wants a time
    /// tells the present one where there is none.
    pub created: Option<u64>,
    /// The answers: one, unless more were asked for.
    pub choices: Vec<Choice>,
    /// What it cost, where the provider says so.
    pub usage: Option<Usage>,
}

impl Completion {
    /// The text of the first choice.
    #[must_use]
    pub fn text(&self) -> String {
        self.choices
            .first()
            .map(|choice| text_of(&choice.content))
            .unwrap_or_default()
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Choice {
    /// Which one, from 0 on.
    pub index: u32,
    /// What was said.
    pub content: Vec<Part>,
    /// Why it ended.
    pub finish: FinishReason,
    /// The stop text that it came to.
    pub stop_sequence: Option<String>,
    /// How likely each token was, in OpenAI's form.
    pub logprobs: Option<Json>,
}

impl Choice {
    /// The choice `index`, with nothing said, which ended for this reason.
    #[must_use]
    pub const fn new(index: u32, finish: FinishReason) -> Self {
        Self {
            index,
            content: Vec::new(),
            finish,
            stop_sequence: None,
            logprobs: None,
        }
    }
}
