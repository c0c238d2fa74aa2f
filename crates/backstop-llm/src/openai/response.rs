//! Plain answers: read from a provider, written to a caller.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    base_resp, error,
    message::{WireMessage, write_assistant},
    plain, tool_id,
};
use crate::{
    Choice, Completion, Error, FinishReason, Json, Part, Usage, clock, json, lenient,
    wire_text::TextOr,
};

#[derive(Deserialize)]
struct WireCompletion<'a> {
    #[serde(default, deserialize_with = "lenient::scalar")]
    id: String,
    #[serde(default, deserialize_with = "lenient::scalar")]
    model: String,
    #[serde(default, deserialize_with = "lenient::scalar")]
    created: Option<f64>,
    #[serde(borrow, default)]
    choices: Option<Vec<WireChoice<'a>>>,
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    base_resp: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(default, deserialize_with = "lenient::scalar")]
    index: u32,
    /// Azure leaves it out where a filter has cut the answer.
    #[serde(default)]
    message: Option<WireMessage>,
    /// What the legacy endpoint answers with instead of a message.
    #[serde(default, deserialize_with = "lenient::any")]
    text: Option<String>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    finish_reason: Option<String>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
}

/// Usage on the wire.
#[derive(Default, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default, deserialize_with = "lenient::scalar")]
    prompt_tokens: u64,
    #[serde(default, deserialize_with = "lenient::scalar")]
    completion_tokens: u64,
    #[serde(default, deserialize_with = "lenient::scalar")]
    total_tokens: u64,
    #[serde(default, deserialize_with = "lenient::object_or_default")]
    prompt_tokens_details: PromptDetails,
    #[serde(default, deserialize_with = "lenient::object_or_default")]
    completion_tokens_details: CompletionDetails,
    #[serde(default, deserialize_with = "lenient::scalar")]
    reasoning_tokens: u64,
    #[serde(default, deserialize_with = "lenient::scalar")]
    prompt_cache_hit_tokens: u64,
}

#[derive(Default, Deserialize)]
struct PromptDetails {
    #[serde(default, deserialize_with = "lenient::scalar")]
    cached_tokens: u64,
    #[serde(default, deserialize_with = "lenient::scalar")]
    cache_write_tokens: u64,
}

#[derive(Default, Deserialize)]
struct CompletionDetails {
    #[serde(default, deserialize_with = "lenient::scalar")]
    reasoning_tokens: u64,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let reasoning = wire
            .completion_tokens_details
            .reasoning_tokens
            .max(wire.reasoning_tokens);
        // xAI counts thoughts beside the output, and into the total: the total tells.
        let beside = wire
            .total_tokens
            .saturating_sub(wire.prompt_tokens)
            .saturating_sub(wire.completion_tokens);
        let output = if beside > 0 && beside == reasoning {
            wire.completion_tokens.saturating_add(beside)
        } else {
            wire.completion_tokens
        };
        Self {
            input: wire.prompt_tokens,
            // Azure's Grok counts more cached tokens than there are.
            cached: wire
                .prompt_tokens_details
                .cached_tokens
                .max(wire.prompt_cache_hit_tokens)
                .min(wire.prompt_tokens),
            cache_write: wire.prompt_tokens_details.cache_write_tokens,
            output,
            reasoning,
        }
    }
}

/// Reads a finish reason. A server that was told which tool to call may say `stop` after the call.
pub(super) fn read_finish(word: &str, called: bool) -> FinishReason {
    match word {
        "stop" | "eos" | "end_turn" | "stop_sequence" if called => FinishReason::ToolCalls,
        "stop" | "eos" | "end_turn" | "stop_sequence" => FinishReason::Stop,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "length" | "model_length" | "max_tokens" => FinishReason::Length,
        "content_filter" | "sensitive" => FinishReason::ContentFilter,
        // What OpenRouter, vLLM, DeepSeek and Zhipu call an answer that broke off.
        "error" | "abort" | "insufficient_system_resource" | "network_error" => FinishReason::Error,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// An answer that its provider ended with an error.
pub(super) fn broken_off() -> Error {
    Error::malformed("the provider ended the answer with an error")
}

/// Writes a finish reason.
pub(super) fn write_finish(reason: &FinishReason) -> &str {
    match reason {
        // The turn is not over, but the dialect has no word for that.
        FinishReason::Pause => "stop",
        reason => reason.as_str(),
    }
}

pub(super) fn decode(body: &[u8]) -> Result<Completion, Error> {
    match plain::answer(body) {
        Some(completion) => Ok(completion),
        None => decode_any(body),
    }
}

/// Reads an answer of any form.
pub(super) fn decode_any(body: &[u8]) -> Result<Completion, Error> {
    let wire: WireCompletion<'_> = json::answer(body)?;
    let Some(choices) = wire.choices.filter(|choices| !choices.is_empty()) else {
        return Err(match wire.error.filter(|raw| error::says(raw)) {
            Some(_) => error::classify(None, body),
            None => {
                let told = wire.base_resp.and_then(base_resp::error);
                told.unwrap_or_else(|| Error::malformed("the answer has no choices"))
            }
        });
    };
    if wire.error.is_some_and(error::says) {
        return Err(error::classify(None, body));
    }
    let choices = choices
        .into_iter()
        .map(|choice| read_choice(choice, &wire.id));
    Ok(Completion {
        choices: choices.collect::<Result<_, _>>()?,
        id: wire.id,
        model: wire.model,
        created: wire.created.map(|seconds| seconds as u64),
        usage: wire.usage.map(Usage::from),
    })
}

fn read_choice(wire: WireChoice<'_>, answer: &str) -> Result<Choice, Error> {
    let malformed = |e: Error| Error::malformed("a message can't be read").with_source(e);
    let mut message = wire.message.unwrap_or_default();
    if let Some(text) = wire.text {
        message.content.get_or_insert(TextOr::Text(text));
    }
    let mut content = message.into_parts(0).map_err(malformed)?;
    let mut calls = 0;
    for part in &mut content {
        if let Part::ToolCall(call) = part {
            call.id = tool_id::given(std::mem::take(&mut call.id), answer, calls);
            calls += 1;
        }
    }
    let called = calls > 0;
    let Some(finish) = wire.finish_reason else {
        return Err(Error::malformed("the answer does not say why it ended"));
    };
    let finish = read_finish(&finish, called);
    if finish == FinishReason::Error {
        return Err(broken_off());
    }
    Ok(Choice {
        index: wire.index,
        finish,
        content,
        stop_sequence: None,
        logprobs: wire
            .logprobs
            .filter(|raw| raw.get() != "null")
            .map(Json::from),
    })
}

// ===== to a caller =====

#[derive(Serialize)]
struct OutCompletion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<OutChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<OutUsage>,
}

#[derive(Serialize)]
struct OutChoice<'a> {
    index: u32,
    message: WireMessage,
    logprobs: Option<&'a Json>,
    finish_reason: &'a str,
}

/// Usage as a caller reads it.
#[derive(Serialize)]
pub(super) struct OutUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: OutPromptDetails,
    completion_tokens_details: OutCompletionDetails,
}

#[derive(Serialize)]
struct OutPromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutCompletionDetails {
    reasoning_tokens: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl From<Usage> for OutUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: OutPromptDetails {
                cached_tokens: usage.cached,
                cache_write_tokens: usage.cache_write,
            },
            completion_tokens_details: OutCompletionDetails {
                reasoning_tokens: usage.reasoning,
            },
        }
    }
}

pub(super) fn render(completion: &Completion) -> Bytes {
    let wire = OutCompletion {
        id: &completion.id,
        object: "chat.completion",
        created: clock::made(completion.created),
        model: &completion.model,
        choices: completion
            .choices
            .iter()
            .map(|choice| OutChoice {
                index: choice.index,
                message: write_assistant(&choice.content),
                logprobs: choice.logprobs.as_ref(),
                finish_reason: write_finish(&choice.finish),
            })
            .collect(),
        usage: completion.usage.map(OutUsage::from),
    };
    serde_json::to_vec(&wire).unwrap_or_default().into()
}
