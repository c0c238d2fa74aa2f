//! Plain answers: read from a provider, written to a caller.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    item::WireItem,
    item_out::{annotation, summary},
    whole::{picture, redacted, whole_item},
};
use crate::{
    Choice, Completion, Dialect, Error, FinishReason, Json, Part, Usage, clock, json, lenient,
    openai::{WireExtra, error},
};

/// A response on the wire, whole or as the events of a stream bring it.
#[derive(Deserialize)]
pub(super) struct WireResponse<'a> {
    #[serde(default, deserialize_with = "lenient::scalar")]
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient::scalar")]
    pub(super) model: String,
    #[serde(default, deserialize_with = "lenient::scalar")]
    pub(super) created_at: Option<f64>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    status: Option<String>,
    #[serde(default)]
    output: Option<Vec<Json>>,
    #[serde(default, deserialize_with = "lenient::any")]
    incomplete_details: Incomplete,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(super) usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: Option<String>,
}

/// Usage on the wire.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct WireUsage {
    #[serde(default, deserialize_with = "lenient::scalar")]
    input_tokens: u64,
    #[serde(default, deserialize_with = "lenient::object_or_default")]
    input_tokens_details: Input,
    #[serde(default, deserialize_with = "lenient::scalar")]
    output_tokens: u64,
    #[serde(default, deserialize_with = "lenient::object_or_default")]
    output_tokens_details: Output,
    #[serde(default, deserialize_with = "lenient::scalar")]
    total_tokens: u64,
}

#[derive(Default, Deserialize, Serialize)]
struct Input {
    #[serde(default, deserialize_with = "lenient::scalar")]
    cached_tokens: u64,
    #[serde(default, deserialize_with = "lenient::scalar")]
    cache_write_tokens: u64,
}

#[derive(Default, Deserialize, Serialize)]
struct Output {
    #[serde(default, deserialize_with = "lenient::scalar")]
    reasoning_tokens: u64,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Self {
            input: wire.input_tokens,
            cached: wire.input_tokens_details.cached_tokens,
            cache_write: wire.input_tokens_details.cache_write_tokens,
            output: wire.output_tokens,
            reasoning: wire.output_tokens_details.reasoning_tokens,
        }
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input,
            input_tokens_details: Input {
                cached_tokens: usage.cached,
                cache_write_tokens: usage.cache_write,
            },
            output_tokens: usage.output,
            output_tokens_details: Output {
                reasoning_tokens: usage.reasoning,
            },
            total_tokens: usage.total(),
        }
    }
}

impl WireResponse<'_> {
    /// The error that it ended with, where it did.
    pub(super) fn failure(&self) -> Option<Error> {
        let failed = self.status.as_deref() == Some("failed");
        let raw = self.error.filter(|raw| error::says(raw));
        (failed || raw.is_some()).then(|| {
            let body = format!("{{\"error\":{}}}", raw.map_or("{}", RawValue::get));
            error::classify(None, body.as_bytes())
        })
    }

    /// Why it ended. There is no reason of its own for a tool call, which is told by its presence.
    pub(super) fn finish(&self, called: bool) -> FinishReason {
        match (
            self.status.as_deref(),
            self.incomplete_details.reason.as_deref(),
        ) {
            (Some("incomplete"), Some("content_filter")) => FinishReason::ContentFilter,
            (Some("incomplete"), _) => FinishReason::Length,
            (Some("completed" | "complete") | None, _) if called => FinishReason::ToolCalls,
            (Some("completed" | "complete") | None, _) => FinishReason::Stop,
            (Some(other), _) => FinishReason::Other(other.to_owned()),
        }
    }
}

pub(super) fn decode(body: &[u8]) -> Result<Completion, Error> {
    let mut wire: WireResponse<'_> = json::answer(body)?;
    if let Some(error) = wire.failure() {
        return Err(error);
    }
    let Some(output) = wire.output.take() else {
        return Err(Error::malformed("the answer has no output"));
    };
    let mut content = Vec::new();
    for json in &output {
        let malformed = |e| Error::malformed("an item of the answer can't be read").with_source(e);
        if let Some(picture) = picture(json) {
            content.push(picture);
            continue;
        }
        let item = WireItem::read(json).map_err(malformed)?;
        content.extend(item.into_parts(0, json)?);
    }
    let called = content.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let mut choice = Choice::new(0, wire.finish(called));
    choice.content = content;
    Ok(Completion {
        id: wire.id,
        model: wire.model,
        created: wire.created_at.map(|seconds| seconds as u64),
        choices: vec![choice],
        usage: wire.usage.map(Usage::from),
    })
}

// ===== to a caller =====

/// A response as a caller reads it.
#[derive(Serialize)]
pub(super) struct OutResponse<'a> {
    id: String,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    background: bool,
    error: Option<Json>,
    incomplete_details: Option<Reason>,
    instructions: Option<&'a str>,
    max_output_tokens: Option<u64>,
    model: &'a str,
    output: Vec<Json>,
    parallel_tool_calls: bool,
    previous_response_id: Option<&'a str>,
    store: bool,
    temperature: Option<f64>,
    tool_choice: &'static str,
    tools: [(); 0],
    top_p: Option<f64>,
    truncation: &'static str,
    usage: Option<WireUsage>,
    metadata: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Reason {
    reason: &'static str,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Begun,
    Ended,
    Failed,
}

impl<'a> OutResponse<'a> {
    pub(super) fn new(completion: &'a Completion, stage: Stage) -> Self {
        let choice = completion.choices.first();
        let reason = match choice.map(|choice| &choice.finish) {
            Some(FinishReason::Length) => Some("max_output_tokens"),
            Some(FinishReason::ContentFilter) => Some("content_filter"),
            _ => None,
        };
        let (status, reason) = match (stage, reason) {
            (Stage::Begun, _) => ("in_progress", None),
            (Stage::Ended, None) => ("completed", None),
            (Stage::Ended, reason) => ("incomplete", reason),
            (Stage::Failed, _) => ("failed", None),
        };
        let id = own_id("resp", &completion.id);
        let output = match (stage, choice) {
            // What has been said by then follows as items of its own.
            (Stage::Begun, _) | (_, None) => Vec::new(),
            (_, Some(choice)) => write_output(&choice.content, &id),
        };
        Self {
            id,
            object: "response",
            created_at: clock::made(completion.created),
            status,
            background: false,
            error: None,
            incomplete_details: reason.map(|reason| Reason { reason }),
            instructions: None,
            max_output_tokens: None,
            model: &completion.model,
            output,
            parallel_tool_calls: true,
            previous_response_id: None,
            store: false,
            temperature: None,
            tool_choice: "auto",
            tools: [],
            top_p: None,
            truncation: "disabled",
            usage: completion
                .usage
                .filter(|_| stage != Stage::Begun)
                .map(WireUsage::from),
            metadata: serde_json::Map::new(),
        }
    }

    /// The same with these items, as a stream brought them.
    pub(super) fn with_output(mut self, items: Vec<Json>) -> Self {
        self.output = items;
        self
    }

    pub(super) fn failed(mut self, error: Json) -> Self {
        self.error = Some(error);
        self
    }

    pub(super) fn status(&self) -> &'static str {
        self.status
    }
}

/// An id with the dialect's own beginning: callers look at it to see what it is of.
pub(super) fn own_id(start: &str, id: &str) -> String {
    match id.strip_prefix(start) {
        Some(rest) if rest.starts_with('_') => id.to_owned(),
        _ => format!("{start}_{id}"),
    }
}

/// Writes what was said, thought and called for, each as an item.
pub(super) fn write_output(parts: &[Part], response: &str) -> Vec<Json> {
    let id = |start: &str, n: usize| format!("{start}_{response}_{n}");
    let mut items: Vec<Item> = Vec::new();
    for part in parts {
        let n = items.len();
        let item = match part {
            Part::Text { text, citations } => {
                let annotations = citations.iter().filter_map(annotation).collect();
                let content = Content::text(text, annotations);
                match items.last_mut() {
                    Some(Item::Message { content: said, .. }) => {
                        said.push(content);
                        continue;
                    }
                    _ => Item::message(id("msg", n), content),
                }
            }
            Part::Refusal(text) => {
                let refusal = text.clone();
                Item::message(id("msg", n), Content::Refusal { refusal })
            }
            Part::Thinking(thinking) => Item::Reasoning {
                id: id("rs", n),
                summary: summary(&thinking.text),
                encrypted_content: match (&thinking.redacted, &thinking.signature) {
                    (Some(data), _) => Some(redacted(data)),
                    (None, signature) => signature.as_ref().map(|s| s.to_wire(Dialect::Responses)),
                },
            },
            Part::ToolCall(call) => Item::FunctionCall {
                id: id("fc", n),
                status: "completed",
                call_id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                extra_content: call.signature.as_ref().map(WireExtra::write),
            },
            part => {
                let Some((start, mut item)) = whole_item(part) else {
                    continue;
                };
                if !item["id"].is_string() {
                    item["id"] = id(start, n).into();
                }
                Item::Whole(Json::of(&item))
            }
        };
        items.push(item);
    }
    items.iter().map(Json::of).collect()
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    FunctionCall {
        id: String,
        status: &'static str,
        call_id: String,
        name: String,
        arguments: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<WireExtra>,
    },
    Message {
        id: String,
        status: &'static str,
        role: &'static str,
        content: Vec<Content>,
    },
    Reasoning {
        id: String,
        summary: Vec<serde_json::Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    #[serde(untagged)]
    Whole(Json),
}

impl Item {
    fn message(id: String, content: Content) -> Self {
        Self::Message {
            id,
            status: "completed",
            role: "assistant",
            content: vec![content],
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content {
    OutputText {
        text: String,
        annotations: Vec<Json>,
        logprobs: [(); 0],
    },
    Refusal {
        refusal: String,
    },
}

impl Content {
    fn text(text: &str, annotations: Vec<Json>) -> Self {
        Self::OutputText {
            text: text.to_owned(),
            annotations,
            logprobs: [],
        }
    }
}

pub(super) fn render(completion: &Completion) -> Bytes {
    let wire = OutResponse::new(completion, Stage::Ended);
    serde_json::to_vec(&wire).unwrap_or_default().into()
}
