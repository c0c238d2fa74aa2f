//! Plain answers: read from a provider, written to a caller.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    block::{To, read_block, write_block},
    error,
};
use crate::{Choice, Completion, Error, FinishReason, Json, Usage, json, lenient};

#[derive(Deserialize)]
struct WireCompletion {
    #[serde(default, rename = "type", deserialize_with = "lenient::scalar")]
    kind: String,
    #[serde(default, deserialize_with = "lenient::scalar")]
    id: String,
    #[serde(default, deserialize_with = "lenient::scalar")]
    model: String,
    #[serde(default)]
    content: Option<Vec<Json>>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    stop_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    stop_sequence: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Option<WireUsage>,
}

/// Usage on the wire; absent figures are those that have not changed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default, deserialize_with = "lenient::scalar")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::object_or_default")]
    output_tokens_details: Details,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "lenient::scalar")]
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// These figures, and of those absent the earlier ones: they are totals, not additions.
    pub(super) fn over(self, earlier: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.or(earlier.input_tokens),
            output_tokens: self.output_tokens.or(earlier.output_tokens),
            cache_creation_input_tokens: self
                .cache_creation_input_tokens
                .or(earlier.cache_creation_input_tokens),
            cache_read_input_tokens: self
                .cache_read_input_tokens
                .or(earlier.cache_read_input_tokens),
            output_tokens_details: Details {
                thinking_tokens: self
                    .output_tokens_details
                    .thinking_tokens
                    .or(earlier.output_tokens_details.thinking_tokens),
            },
        }
    }
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let cached = wire.cache_read_input_tokens.unwrap_or_default();
        let cache_write = wire.cache_creation_input_tokens.unwrap_or_default();
        Self {
            // The dialect counts cached tokens beside the input, this vocabulary within it.
            input: wire
                .input_tokens
                .unwrap_or_default()
                .saturating_add(cached)
                .saturating_add(cache_write),
            cached,
            cache_write,
            output: wire.output_tokens.unwrap_or_default(),
            reasoning: wire
                .output_tokens_details
                .thinking_tokens
                .unwrap_or_default(),
        }
    }
}

/// Reads a stop reason.
pub(super) fn read_stop(word: &str) -> FinishReason {
    match word {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        "pause_turn" => FinishReason::Pause,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// Writes a stop reason.
pub(super) fn write_stop<'a>(reason: &'a FinishReason, sequence: Option<&str>) -> &'a str {
    match reason {
        FinishReason::Stop if sequence.is_some() => "stop_sequence",
        FinishReason::Stop | FinishReason::Error => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
        FinishReason::Pause => "pause_turn",
        FinishReason::Other(word) => word,
    }
}

pub(super) fn decode(body: &[u8]) -> Result<Completion, Error> {
    let wire: WireCompletion = json::answer(body)?;
    let content = match wire.content {
        Some(content) if wire.kind != "error" => content,
        _ if crate::object::Object::parse(body).is_ok_and(|o| o.get("error").is_some()) => {
            return Err(error::classify(None, body));
        }
        _ => return Err(Error::malformed("the answer has no content")),
    };
    let Some(stop_reason) = wire.stop_reason else {
        return Err(Error::malformed("the answer does not say why it ended"));
    };
    let content = content
        .into_iter()
        .map(|json| read_block(format_args!("content"), json))
        .collect::<Result<_, _>>()
        .map_err(|e| Error::malformed("a block of the answer can't be read").with_source(e))?;
    let mut choice = Choice::new(0, read_stop(&stop_reason));
    choice.content = content;
    choice.stop_sequence = wire.stop_sequence;
    Ok(Completion {
        id: wire.id,
        model: wire.model,
        created: None,
        choices: vec![choice],
        usage: wire.usage.map(Usage::from),
    })
}

// ===== to a caller =====

#[derive(Serialize)]
struct OutCompletion<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Json>,
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
    usage: OutUsage,
}

/// Usage as a caller reads it.
#[derive(Debug, Serialize)]
pub(super) struct OutUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutDetails>,
}

#[derive(Debug, Serialize)]
struct OutDetails {
    thinking_tokens: u64,
}

impl From<Usage> for OutUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage
                .input
                .saturating_sub(usage.cached)
                .saturating_sub(usage.cache_write),
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cached,
            output_tokens: usage.output,
            output_tokens_details: (usage.reasoning > 0).then_some(OutDetails {
                thinking_tokens: usage.reasoning,
            }),
        }
    }
}

pub(super) fn render(completion: &Completion) -> Bytes {
    let choice = completion.choices.first();
    let sequence = choice.and_then(|choice| choice.stop_sequence.as_deref());
    let wire = OutCompletion {
        id: &completion.id,
        r#type: "message",
        role: "assistant",
        model: &completion.model,
        content: choice
            .iter()
            .flat_map(|choice| &choice.content)
            .filter_map(|part| write_block(part, To::Caller))
            .collect(),
        stop_reason: choice.map_or("end_turn", |choice| write_stop(&choice.finish, sequence)),
        stop_sequence: sequence,
        usage: completion.usage.unwrap_or_default().into(),
    };
    serde_json::to_vec(&wire).unwrap_or_default().into()
}
