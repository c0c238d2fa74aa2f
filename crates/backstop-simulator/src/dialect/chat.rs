//! OpenAI's Chat Completions.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Frames, Stamp, anthropic::json_pieces, field, is_true, quoted, strings, text_field};
use crate::{
    ask::{Ask, Continuation, Format, Message, Role, Tool, ToolChoice, text_of},
    ids,
    problem::Problem,
    script::{Stop, words},
    turn::{Turn, json as to_text},
};

/// More replies than a caller can want.
const MOST_CHOICES: u64 = 128;

pub(super) fn read(body: &Value, deployment: Option<&str>) -> Result<Ask, Problem> {
    let model = text_field(body, "model")
        .or_else(|| deployment.map(str::to_owned))
        .filter(|model| !model.is_empty())
        .ok_or_else(|| Problem::invalid("you must provide a model parameter", "model"))?;
    let messages = field(body, "messages")
        .ok_or_else(|| Problem::invalid("Missing required parameter: 'messages'.", "messages"))?
        .as_array()
        .ok_or_else(|| {
            Problem::invalid(
                "Invalid type for 'messages': expected an array.",
                "messages",
            )
        })?;
    if messages.is_empty() {
        return Err(Problem::invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got \
             an empty array instead.",
            "messages",
        ));
    }
    let heard = messages
        .iter()
        .enumerate()
        .map(|(index, message)| message_of(index, message));
    let heard: Vec<Message> = heard.collect::<Result<_, _>>()?;
    if is_true(body, "continue_final_message") && is_true(body, "add_generation_prompt") {
        return Err(Problem::invalid(
            "Cannot set both `continue_final_message` and `add_generation_prompt` to True.",
            "continue_final_message",
        ));
    }
    let last_goes_on = messages
        .last()
        .is_some_and(|last| is_true(last, "prefix") || is_true(last, "partial"));
    let max_tokens =
        match field(body, "max_completion_tokens").or_else(|| field(body, "max_tokens")) {
            Some(max) => Some(max.as_u64().ok_or_else(|| {
                Problem::invalid(
                    "Invalid type for 'max_tokens': expected an integer.",
                    "max_tokens",
                )
            })?),
            None => None,
        };
    let mut ask = Ask {
        model,
        max_tokens,
        stream: is_true(body, "stream"),
        include_usage: body
            .get("stream_options")
            .is_some_and(|o| is_true(o, "include_usage")),
        stops: strings(body.get("stop")),
        tools: tools(body),
        tool_choice: tool_choice(body),
        format: format(body),
        choices: body
            .get("n")
            .and_then(Value::as_u64)
            .unwrap_or(1)
            .clamp(1, MOST_CHOICES) as usize,
        ..Ask::default()
    };
    ask.hear(heard);
    if last_goes_on || is_true(body, "continue_final_message") {
        ask.continuation = Continuation::Flag;
    }
    Ok(ask)
}

fn message_of(index: usize, message: &Value) -> Result<Message, Problem> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user" | "tool" | "function") => Role::User,
        Some("assistant") => Role::Assistant,
        Some(other) => {
            return Err(Problem::invalid(
                format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', \
                     'user', 'function', 'tool', and 'developer'."
                ),
                "messages",
            ));
        }
        None => {
            return Err(Problem::invalid(
                format!("Missing required parameter: 'messages[{index}].role'."),
                "messages",
            ));
        }
    };
    let text = message.get("content").map(text_of).unwrap_or_default();
    Ok(Message { role, text })
}

fn tools(body: &Value) -> Vec<Tool> {
    let tools = body
        .get("tools")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let named = tools.iter().filter_map(|tool| {
        let function = tool.get("function")?;
        let schema = function.get("parameters").cloned().unwrap_or(Value::Null);
        Some(Tool {
            name: text_field(function, "name")?,
            schema,
        })
    });
    named.collect()
}

fn tool_choice(body: &Value) -> ToolChoice {
    match body.get("tool_choice") {
        Some(Value::String(choice)) if choice == "required" => ToolChoice::Required,
        Some(Value::String(choice)) if choice == "none" => ToolChoice::None,
        Some(choice) => choice
            .pointer("/function/name")
            .and_then(Value::as_str)
            .map_or(ToolChoice::Auto, |name| ToolChoice::Named(name.to_owned())),
        None => ToolChoice::Auto,
    }
}

fn format(body: &Value) -> Format {
    let Some(format) = body.get("response_format") else {
        return Format::Text;
    };
    match format.get("type").and_then(Value::as_str) {
        Some("json_object") => Format::Json,
        Some("json_schema") => format
            .pointer("/json_schema/schema")
            .map_or(Format::Json, |schema| Format::Schema(schema.clone())),
        _ => Format::Text,
    }
}

// ===== Replies =====

pub(super) fn whole(turn: &Turn, stamp: &Stamp) -> Bytes {
    let reply = &turn.reply;
    let choices = (0..turn.ask.choices).map(|index| {
        let content = if reply.text.is_empty() && !reply.tool_calls.is_empty() {
            Value::Null
        } else {
            json!(reply.text)
        };
        let mut message =
            json!({ "role": "assistant", "content": content, "refusal": null, "annotations": [] });
        if let Some(thinking) = &reply.thinking {
            message["reasoning_content"] = json!(thinking);
        }
        if !reply.tool_calls.is_empty() {
            let calls = reply.tool_calls.iter().map(|call| {
                json!({
                    "id": tool_id(),
                    "type": "function",
                    "function": { "name": call.name, "arguments": to_text(&call.arguments) },
                })
            });
            message["tool_calls"] = calls.collect();
        }
        json!({
            "index": index,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(&turn.stop),
        })
    });
    let body = json!({
        "id": completion_id(),
        "object": "chat.completion",
        "created": stamp.created,
        "model": turn.ask.model,
        "choices": choices.collect::<Value>(),
        "usage": usage(turn),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    });
    body.to_string().into()
}

fn usage(turn: &Turn) -> Value {
    let output = turn.output_tokens * turn.ask.choices as u64;
    json!({
        "prompt_tokens": turn.ask.input_tokens,
        "completion_tokens": output,
        "total_tokens": turn.ask.input_tokens + output,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": turn.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

const fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Tool => "tool_calls",
        Stop::Filtered => "content_filter",
    }
}

const FINGERPRINT: &str = "fp_6fc10e10eb";

fn completion_id() -> String {
    ids::alphanumeric("chatcmpl-", 29)
}

fn tool_id() -> String {
    ids::alphanumeric("call_", 24)
}

// ===== Streams =====

pub(super) fn frames(turn: &Turn, stamp: &Stamp) -> Frames {
    let writer = Writer::new(turn, stamp);
    let mut frames = Frames::default();
    for index in 0..turn.ask.choices {
        frames.opening.push(writer.delta(
            index,
            r#"{"role":"assistant","content":"","refusal":null}"#,
            None,
        ));
        for word in turn
            .reply
            .thinking
            .as_deref()
            .map(words)
            .unwrap_or_default()
        {
            let delta = format!(r#"{{"reasoning_content":{}}}"#, quoted(word));
            frames.content.push(writer.delta(index, &delta, None));
        }
        if !turn.reply.text.is_empty() {
            for piece in turn.reply.pieces() {
                let delta = format!(r#"{{"content":{}}}"#, quoted(piece));
                frames.content.push(writer.delta(index, &delta, None));
            }
        }
        for (place, call) in turn.reply.tool_calls.iter().enumerate() {
            let first = json!({ "tool_calls": [{
                "index": place,
                "id": tool_id(),
                "type": "function",
                "function": { "name": call.name, "arguments": "" },
            }]});
            frames
                .content
                .push(writer.delta(index, &first.to_string(), None));
            for piece in json_pieces(&to_text(&call.arguments)) {
                let delta = json!({ "tool_calls": [{
                    "index": place, "function": { "arguments": piece },
                }]});
                frames
                    .content
                    .push(writer.delta(index, &delta.to_string(), None));
            }
        }
        frames
            .closing
            .push(writer.delta(index, "{}", Some(finish_reason(&turn.stop))));
    }
    if turn.ask.include_usage {
        frames
            .closing
            .push(writer.frame("[]", &usage(turn).to_string()));
    }
    frames.closing.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

/// Writes chunks around what is the same in all of them.
struct Writer {
    head: String,
    include_usage: bool,
}

impl Writer {
    fn new(turn: &Turn, stamp: &Stamp) -> Self {
        let head = format!(
            "data: {{\"id\":\"{}\",\"object\":\"chat.completion.chunk\",\"created\":{},\
             \"model\":{},\"service_tier\":\"default\",\"system_fingerprint\":\"{FINGERPRINT}\",\
             \"choices\":",
            completion_id(),
            stamp.created,
            quoted(&turn.ask.model),
        );
        Self {
            head,
            include_usage: turn.ask.include_usage,
        }
    }

    fn delta(&self, index: usize, delta: &str, finish: Option<&str>) -> Bytes {
        let finish = finish.map_or_else(|| "null".to_owned(), quoted);
        let choices = format!(
            r#"[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]"#
        );
        self.frame(&choices, "null")
    }

    fn frame(&self, choices: &str, usage: &str) -> Bytes {
        const FILLER: &str = "yV5j76iAcp9Zs3oMK";
        let usage = if self.include_usage {
            format!(",\"usage\":{usage}")
        } else {
            String::new()
        };
        let filler = ids::padding(FILLER);
        format!(
            "{}{choices}{usage},\"obfuscation\":\"{filler}\"}}\n\n",
            self.head
        )
        .into()
    }
}

/// The error that ends a stream, after which no `[DONE]` comes.
pub(super) fn error_event() -> Bytes {
    Bytes::from_static(
        b"data: {\"error\":{\"message\":\"The server had an error while processing your request. \
          Sorry about that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n",
    )
}
