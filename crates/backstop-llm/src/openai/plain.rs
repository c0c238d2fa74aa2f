//! Requests and answers as most are: messages of plain text, each field of its usual type.
//!
//! The readers of all forms look into a value before they take it, and make room for all that a
//! message can hold. What holds nothing but text is read in half of the time here. Whatever does
//! not fit, for any reason, is left to those readers: they say what it means, or what is wrong
//! with it.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    message::read_role,
    response::{WireUsage, read_finish},
};
use crate::{Choice, Completion, FinishReason, Message, Part, Role, Usage, json, lenient};

/// What may be there, but says nothing: `null`.
type Nothing = ();

// The fields stand in the order in which those readers have them: a list of values in that order
// is taken for an object.

/// A message that holds nothing but text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlainMessage<'a> {
    role: &'a str,
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default, rename = "refusal")]
    _refusal: Nothing,
    #[serde(default, rename = "annotations")]
    _annotations: Option<[Nothing; 0]>,
}

#[derive(Deserialize)]
struct PlainAnswer<'a> {
    id: String,
    model: String,
    #[serde(default)]
    created: Option<f64>,
    #[serde(borrow)]
    choices: Vec<PlainChoice<'a>>,
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Option<WireUsage>,
    #[serde(default, rename = "error")]
    _error: Nothing,
}

#[derive(Deserialize)]
struct PlainChoice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    message: PlainMessage<'a>,
    #[serde(default, rename = "text")]
    _text: Nothing,
    finish_reason: &'a str,
    #[serde(default, rename = "logprobs")]
    _logprobs: Nothing,
}

impl PlainMessage<'_> {
    fn into_parts(self) -> Vec<Part> {
        if self.content.is_empty() {
            return Vec::new();
        }
        vec![Part::text(self.content)]
    }

    /// The message in shared words; none where its role asks for more than text.
    pub(super) fn into_message(self) -> Option<Message> {
        let role = read_role(self.role)?;
        (role != Role::Tool).then(|| Message::new(role, self.into_parts()))
    }
}

impl PlainChoice<'_> {
    /// The choice in shared words; none where it broke off.
    fn into_choice(self) -> Option<Choice> {
        let finish = read_finish(self.finish_reason, false);
        (finish != FinishReason::Error).then(|| Choice {
            index: self.index,
            finish,
            content: self.message.into_parts(),
            stop_sequence: None,
            logprobs: None,
        })
    }
}

/// Reads an answer, if it is a plain one.
pub(super) fn answer(body: &[u8]) -> Option<Completion> {
    let plain: PlainAnswer<'_> = json::from_bytes(body).ok()?;
    let choices = plain.choices.into_iter().map(PlainChoice::into_choice);
    let choices: Vec<_> = choices.collect::<Option<_>>()?;
    (!choices.is_empty()).then_some(Completion {
        id: plain.id,
        model: plain.model,
        created: plain.created.map(|seconds| seconds as u64),
        choices,
        usage: plain.usage.map(Usage::from),
    })
}

#[cfg(test)]
mod tests;
