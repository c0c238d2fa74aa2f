//! Anthropic's Messages.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::{
    Failure, Frames, Route, Stamp, field, header, header_map, insert, is_true, strings, text_field,
};
use crate::{
    ask::{Ask, Format, Message, Role, Tool, ToolChoice, text_of},
    ids,
    problem::Problem,
    script::{Stop, words},
    turn::{Turn, json as to_text},
};

pub(super) fn route(method: &Method, path: &str) -> Option<Route> {
    let path = &path[path.rfind("/v1/")? + "/v1".len()..];
    match (method, path) {
        (&Method::POST, "/messages") => Some(Route::Messages),
        (&Method::POST, "/messages/count_tokens") => Some(Route::CountTokens { model: None }),
        (&Method::GET, "/models") => Some(Route::Models),
        (&Method::GET, path) => path
            .strip_prefix("/models/")
            .map(|id| Route::Model(id.to_owned())),
        _ => None,
    }
}

pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    match header(headers, "anthropic-version") {
        None => Err(Problem::invalid(
            "anthropic-version: header is required",
            "anthropic-version",
        )),
        Some("2023-06-01" | "2023-01-01") => Ok(()),
        Some(other) => Err(Problem::invalid(
            format!("anthropic-version: \"{other}\" is not a valid version"),
            "anthropic-version",
        )),
    }
}

pub(super) fn headers(stamp: &Stamp) -> HeaderMap {
    let mut headers = header_map([
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:00Z"),
        ("anthropic-ratelimit-tokens-limit", "2400000"),
        ("anthropic-ratelimit-tokens-remaining", "2399000"),
        ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:00Z"),
    ]);
    insert(&mut headers, "request-id", &stamp.request_id);
    headers
}

// ===== Errors =====

pub(super) fn failure(problem: &Problem, model: &str, stamp: &Stamp) -> Failure {
    let (status, kind, message): (u16, &str, String) = match problem {
        Problem::Invalid { message, .. } => (400, "invalid_request_error", message.clone()),
        Problem::NoKey => (
            401,
            "authentication_error",
            "x-api-key header is required".into(),
        ),
        Problem::WrongKey | Problem::InvalidKey => {
            (401, "authentication_error", "invalid x-api-key".into())
        }
        Problem::Forbidden => (
            403,
            "permission_error",
            "Your API key does not have permission to use the specified resource.".into(),
        ),
        Problem::NoSuchModel => (404, "not_found_error", format!("model: {model}")),
        Problem::NoSuchPath => (404, "not_found_error", "Not Found".into()),
        Problem::ContextLength => (
            400,
            "invalid_request_error",
            "prompt is too long: 200021 tokens > 200000 maximum".into(),
        ),
        Problem::BodyTooLarge => (
            413,
            "request_too_large",
            "Request exceeds the maximum size".into(),
        ),
        Problem::Filtered => (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy".into(),
        ),
        Problem::RateLimited(_) => (
            429,
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 4,000 requests per \
             minute. For details, refer to: https://docs.claude.com/en/api/rate-limits."
                .into(),
        ),
        Problem::Quota => (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & \
             Billing to upgrade or purchase credits."
                .into(),
        ),
        Problem::Prefill => (
            400,
            "invalid_request_error",
            "This model does not support assistant message prefill. The conversation must end \
             with a user message."
                .into(),
        ),
        Problem::Server => (500, "api_error", "Internal server error".into()),
        Problem::Unavailable => (503, "api_error", "Service unavailable".into()),
        Problem::Overloaded => (529, "overloaded_error", "Overloaded".into()),
        Problem::TimedOut => (504, "timeout_error", "Request timed out".into()),
    };
    let body = json!({
        "type": "error",
        "error": { "type": kind, "message": message },
        "request_id": stamp.request_id,
    });
    let mut failure = super::failure(status, "application/json", body.to_string().into());
    let again = matches!(status, 429 | 503 | 504 | 529);
    insert(
        &mut failure.headers,
        "x-should-retry",
        if again { "true" } else { "false" },
    );
    if let Problem::RateLimited(wait) = problem {
        let seconds = super::whole_seconds(*wait).to_string();
        insert(&mut failure.headers, "retry-after", &seconds);
    }
    failure
}

pub(super) fn error_event() -> Bytes {
    event(&json!({
        "type": "error",
        "error": { "details": null, "type": "overloaded_error", "message": "Overloaded" },
    }))
}

// ===== Models =====

pub(super) fn models(models: &[String]) -> Value {
    json!({
        "data": models.iter().map(|id| model(id)).collect::<Vec<_>>(),
        "first_id": models.first(),
        "has_more": false,
        "last_id": models.last(),
    })
}

pub(super) fn model(id: &str) -> Value {
    json!({ "created_at": "1970-01-01T00:00:00Z", "display_name": id, "id": id, "type": "model" })
}

pub(super) fn count(tokens: u64) -> Value {
    json!({ "input_tokens": tokens })
}

// ===== Requests =====

/// What a request is read for: a count wants no `max_tokens`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum For {
    Count,
    Reply,
}

pub(super) fn read(body: &Value, purpose: For) -> Result<Ask, Problem> {
    let model = text_field(body, "model")
        .ok_or_else(|| Problem::invalid("model: Field required", "model"))?;
    let max_tokens = match field(body, "max_tokens") {
        Some(max) => Some(max.as_u64().ok_or_else(|| {
            Problem::invalid("max_tokens: Input should be a valid integer", "max_tokens")
        })?),
        None if purpose == For::Count => None,
        None => return Err(Problem::invalid("max_tokens: Field required", "max_tokens")),
    };
    let messages = field(body, "messages")
        .ok_or_else(|| Problem::invalid("messages: Field required", "messages"))?
        .as_array()
        .ok_or_else(|| Problem::invalid("messages: Input should be a valid list", "messages"))?;
    if messages.is_empty() {
        return Err(Problem::invalid(
            "messages: at least one message is required",
            "messages",
        ));
    }
    let system = field(body, "system").map(|system| Message {
        role: Role::System,
        text: text_of(system),
    });
    let heard = messages
        .iter()
        .enumerate()
        .map(|(index, message)| message_of(index, message));
    let heard: Vec<Message> = system
        .map(Ok)
        .into_iter()
        .chain(heard)
        .collect::<Result<_, _>>()?;
    if let Some(Message {
        role: Role::Assistant,
        text,
    }) = heard.last()
    {
        if text.ends_with(char::is_whitespace) {
            return Err(Problem::invalid(
                "messages: final assistant content cannot end with trailing whitespace",
                "messages",
            ));
        }
    }
    let mut ask = Ask {
        model,
        max_tokens,
        stream: is_true(body, "stream"),
        stops: strings(body.get("stop_sequences")),
        tools: tools(body),
        tool_choice: tool_choice(body),
        format: body
            .pointer("/output_config/format/schema")
            .or_else(|| body.pointer("/output_format/schema"))
            .map_or(Format::Text, |schema| Format::Schema(schema.clone())),
        thinking: matches!(
            body.pointer("/thinking/type").and_then(Value::as_str),
            Some("enabled" | "adaptive")
        ),
        choices: 1,
        ..Ask::default()
    };
    ask.hear(heard);
    Ok(ask)
}

fn message_of(index: usize, message: &Value) -> Result<Message, Problem> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => {
            return Err(Problem::invalid(
                format!("messages.{index}.role: Input should be 'user' or 'assistant'"),
                "messages",
            ));
        }
        None => {
            return Err(Problem::invalid(
                format!("messages.{index}: Input does not match the expected shape."),
                "messages",
            ));
        }
    };
    let content = field(message, "content").ok_or_else(|| {
        Problem::invalid(
            format!("messages.{index}.content: Field required"),
            "messages",
        )
    })?;
    Ok(Message {
        role,
        text: text_of(content),
    })
}

fn tools(body: &Value) -> Vec<Tool> {
    let tools = body
        .get("tools")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let named = tools.iter().filter_map(|tool| {
        let schema = tool.get("input_schema").cloned().unwrap_or(Value::Null);
        Some(Tool {
            name: text_field(tool, "name")?,
            schema,
        })
    });
    named.collect()
}

fn tool_choice(body: &Value) -> ToolChoice {
    let Some(choice) = body.get("tool_choice") else {
        return ToolChoice::Auto;
    };
    match choice.get("type").and_then(Value::as_str) {
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => text_field(choice, "name").map_or(ToolChoice::Auto, ToolChoice::Named),
        _ => ToolChoice::Auto,
    }
}

// ===== Replies =====

pub(super) fn whole(turn: &Turn) -> Bytes {
    let mut content = Vec::new();
    if let Some(thinking) = &turn.reply.thinking {
        content.push(json!({
            "type": "thinking",
            "thinking": thinking,
            "signature": signature(),
        }));
    }
    if !turn.reply.text.is_empty() {
        content.push(json!({ "type": "text", "text": turn.reply.text }));
    }
    for call in &turn.reply.tool_calls {
        let input = if call.arguments.is_null() {
            json!({})
        } else {
            call.arguments.clone()
        };
        content.push(json!({
            "type": "tool_use", "id": tool_id(), "name": call.name, "input": input,
        }));
    }
    let (stop_reason, stop_sequence) = stop(&turn.stop);
    let mut message = message(turn, turn.output_tokens);
    message["content"] = Value::Array(content);
    message["stop_reason"] = json!(stop_reason);
    message["stop_sequence"] = json!(stop_sequence);
    message.to_string().into()
}

fn message(turn: &Turn, output_tokens: u64) -> Value {
    json!({
        "model": turn.ask.model,
        "id": ids::base58("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {
            "input_tokens": turn.ask.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": output_tokens,
            "service_tier": "standard",
        },
    })
}

fn stop(stop: &Stop) -> (&'static str, Option<&str>) {
    match stop {
        Stop::End => ("end_turn", None),
        Stop::Length => ("max_tokens", None),
        Stop::Tool => ("tool_use", None),
        Stop::Sequence(sequence) => ("stop_sequence", Some(sequence)),
        Stop::Filtered => ("refusal", None),
    }
}

fn signature() -> String {
    ids::alphanumeric("Eo4DCpQBCA8YAipA", 120) + "=="
}

fn tool_id() -> String {
    ids::base58("toolu_01", 22)
}

// ===== Streams =====

pub(super) fn frames(turn: &Turn) -> Frames {
    let mut blocks = Blocks::default();
    if let Some(thinking) = &turn.reply.thinking {
        blocks.start(&json!({ "type": "thinking", "thinking": "", "signature": "" }));
        for word in words(thinking) {
            blocks.delta("thinking_delta", "thinking", word);
        }
        blocks.delta("signature_delta", "signature", &signature());
    }
    if !turn.reply.text.is_empty() {
        blocks.start(&json!({ "type": "text", "text": "" }));
        for piece in turn.reply.pieces() {
            blocks.delta("text_delta", "text", piece);
        }
    }
    for call in &turn.reply.tool_calls {
        blocks.start(&json!({
            "type": "tool_use", "id": tool_id(), "name": call.name, "input": {},
        }));
        blocks.delta("input_json_delta", "partial_json", "");
        for piece in json_pieces(&to_text(&call.arguments)) {
            blocks.delta("input_json_delta", "partial_json", piece);
        }
    }
    let (stop_reason, stop_sequence) = stop(&turn.stop);
    let closing = vec![
        blocks.end(),
        event(&json!({
            "type": "message_delta",
            "delta": { "stop_reason": stop_reason, "stop_sequence": stop_sequence },
            "usage": {
                "input_tokens": turn.ask.input_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": turn.output_tokens,
            },
        })),
        event(&json!({ "type": "message_stop" })),
    ];
    let opening = vec![
        event(&json!({ "type": "message_start", "message": message(turn, 1) })),
        ping(),
    ];
    Frames {
        opening,
        content: blocks.content,
        closing,
    }
}

/// JSON in pieces of a few characters, as a model writes it.
pub(super) fn json_pieces(text: &str) -> impl Iterator<Item = &str> {
    const LENGTH: usize = 8;
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .nth(LENGTH)
            .map_or(rest.len(), |(place, _)| place);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Content blocks as a stream has them: what starts and stops a block comes along with the deltas.
#[derive(Default)]
struct Blocks {
    content: Vec<Bytes>,
    pending: String,
    index: Option<usize>,
}

impl Blocks {
    fn start(&mut self, block: &Value) {
        self.stop();
        let index = self.index.map_or(0, |index| index + 1);
        self.index = Some(index);
        push_event(
            &mut self.pending,
            &json!({ "type": "content_block_start", "index": index, "content_block": block }),
        );
    }

    fn delta(&mut self, kind: &str, key: &str, text: &str) {
        let index = self.index.unwrap_or(0);
        let mut frame = std::mem::take(&mut self.pending);
        frame.push_str("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",");
        frame.push_str(&format!(
            "\"index\":{index},\"delta\":{{\"type\":\"{kind}\",\"{key}\":{}}}{}}}\n\n",
            super::quoted(text),
            ids::padding(SPACES),
        ));
        self.content.push(frame.into());
    }

    fn stop(&mut self) {
        if let Some(index) = self.index {
            push_event(
                &mut self.pending,
                &json!({ "type": "content_block_stop", "index": index }),
            );
        }
    }

    fn end(&mut self) -> Bytes {
        self.stop();
        std::mem::take(&mut self.pending).into()
    }
}

const SPACES: &str = "               ";

fn ping() -> Bytes {
    Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n")
}

fn event(data: &Value) -> Bytes {
    let mut frame = String::new();
    push_event(&mut frame, data);
    frame.into()
}

/// Writes an event, with spaces before its last brace as the real ones have them.
fn push_event(frame: &mut String, data: &Value) {
    let name = data
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("message");
    let mut json = data.to_string();
    json.insert_str(json.len() - 1, ids::padding(SPACES));
    frame.push_str("event: ");
    frame.push_str(name);
    frame.push_str("\ndata: ");
    frame.push_str(&json);
    frame.push_str("\n\n");
}
