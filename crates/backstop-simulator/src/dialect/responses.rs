//! OpenAI's Responses.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Frames, Stamp, anthropic::json_pieces, field, is_true, text_field};
use crate::{
    ask::{Ask, Format, Message, Role, Tool, ToolChoice, text_of},
    ids,
    problem::Problem,
    script::{Stop, words},
    turn::{Turn, json as to_text},
};

pub(super) fn read(body: &Value) -> Result<Ask, Problem> {
    let model = text_field(body, "model")
        .filter(|model| !model.is_empty())
        .ok_or_else(|| Problem::invalid("Missing required parameter: 'model'.", "model"))?;
    let input = field(body, "input")
        .ok_or_else(|| Problem::invalid("Missing required parameter: 'input'.", "input"))?;
    let instructions = text_field(body, "instructions");
    let mut heard: Vec<Message> = instructions
        .map(|text| Message {
            role: Role::System,
            text,
        })
        .into_iter()
        .collect();
    match input {
        Value::String(text) => heard.push(Message {
            role: Role::User,
            text: text.clone(),
        }),
        Value::Array(items) => heard.extend(items.iter().filter_map(message_of)),
        _ => {
            return Err(Problem::invalid(
                "Invalid type for 'input': expected a string or an array.",
                "input",
            ));
        }
    }
    let mut ask = Ask {
        model,
        max_tokens: body.get("max_output_tokens").and_then(Value::as_u64),
        stream: is_true(body, "stream"),
        tools: tools(body),
        tool_choice: tool_choice(body),
        format: format(body),
        thinking: body
            .pointer("/reasoning/summary")
            .is_some_and(|summary| !summary.is_null()),
        choices: 1,
        ..Ask::default()
    };
    ask.hear(heard);
    Ok(ask)
}

/// Items that say nothing (a call, a reasoning) are no messages.
fn message_of(item: &Value) -> Option<Message> {
    let kind = item
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("message");
    match (kind, item.get("role").and_then(Value::as_str)) {
        ("function_call_output", _) => Some(Message {
            role: Role::User,
            text: item.get("output").map(text_of)?,
        }),
        ("message", role) => {
            let role = match role {
                Some("assistant") => Role::Assistant,
                Some("system" | "developer") => Role::System,
                _ => Role::User,
            };
            Some(Message {
                role,
                text: item.get("content").map(text_of)?,
            })
        }
        _ => None,
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let tools = body
        .get("tools")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let named = tools.iter().filter_map(|tool| {
        let schema = tool.get("parameters").cloned().unwrap_or(Value::Null);
        Some(Tool {
            name: text_field(tool, "name")?,
            schema,
        })
    });
    named.collect()
}

fn tool_choice(body: &Value) -> ToolChoice {
    match body.get("tool_choice") {
        Some(Value::String(choice)) if choice == "required" => ToolChoice::Required,
        Some(Value::String(choice)) if choice == "none" => ToolChoice::None,
        Some(choice) => text_field(choice, "name").map_or(ToolChoice::Auto, ToolChoice::Named),
        None => ToolChoice::Auto,
    }
}

fn format(body: &Value) -> Format {
    let Some(format) = body.pointer("/text/format") else {
        return Format::Text;
    };
    match format.get("type").and_then(Value::as_str) {
        Some("json_object") => Format::Json,
        Some("json_schema") => format
            .get("schema")
            .map_or(Format::Json, |schema| Format::Schema(schema.clone())),
        _ => Format::Text,
    }
}

// ===== Replies =====

pub(super) fn whole(turn: &Turn, stamp: &Stamp) -> Bytes {
    let output: Vec<Value> = Item::all(turn).iter().map(Item::done).collect();
    let mut response = response(turn, stamp);
    finish(&mut response, turn, output);
    format!("{response:#}").into()
}

fn response(turn: &Turn, stamp: &Stamp) -> Value {
    json!({
        "id": ids::hex("resp_", 48),
        "object": "response",
        "created_at": stamp.created,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": turn.ask.max_tokens,
        "model": turn.ask.model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null },
        "service_tier": "auto",
        "store": true,
        "temperature": 1.0,
        "text": { "format": { "type": "text" }, "verbosity": "medium" },
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": {},
    })
}

fn finish(response: &mut Value, turn: &Turn, output: Vec<Value>) {
    let incomplete = match turn.stop {
        Stop::Length => Some("max_output_tokens"),
        Stop::Filtered => Some("content_filter"),
        Stop::End | Stop::Tool | Stop::Sequence(_) => None,
    };
    response["status"] = json!(if incomplete.is_some() {
        "incomplete"
    } else {
        "completed"
    });
    response["incomplete_details"] =
        incomplete.map_or(Value::Null, |reason| json!({ "reason": reason }));
    response["output"] = Value::Array(output);
    response["usage"] = json!({
        "input_tokens": turn.ask.input_tokens,
        "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": turn.output_tokens,
        "output_tokens_details": { "reasoning_tokens": turn.thinking_tokens },
        "total_tokens": turn.ask.input_tokens + turn.output_tokens,
    });
}

/// One item of the output, which a stream announces, fills and ends.
enum Item<'a> {
    Reasoning {
        id: String,
        summary: &'a str,
    },
    Message {
        id: String,
        text: &'a str,
        pieces: Vec<&'a str>,
    },
    Call {
        id: String,
        call_id: String,
        name: &'a str,
        arguments: String,
    },
}

impl<'a> Item<'a> {
    fn all(turn: &'a Turn) -> Vec<Self> {
        let reply = &turn.reply;
        let reasoning = reply.thinking.as_deref();
        let reasoning = reasoning.map(|summary| Self::Reasoning {
            id: ids::hex("rs_", 48),
            summary,
        });
        let says = !reply.text.is_empty() || reply.tool_calls.is_empty();
        let message = says.then(|| Self::Message {
            id: ids::hex("msg_", 48),
            text: &reply.text,
            pieces: reply.pieces(),
        });
        let calls = reply.tool_calls.iter().map(|call| Self::Call {
            id: ids::hex("fc_", 48),
            call_id: ids::alphanumeric("call_", 24),
            name: &call.name,
            arguments: to_text(&call.arguments),
        });
        reasoning.into_iter().chain(message).chain(calls).collect()
    }

    fn begun(&self) -> Value {
        match self {
            Self::Reasoning { id, .. } => json!({ "id": id, "type": "reasoning", "summary": [] }),
            Self::Message { id, .. } => json!({
                "id": id, "type": "message", "status": "in_progress", "content": [],
                "role": "assistant",
            }),
            Self::Call {
                id, call_id, name, ..
            } => json!({
                "id": id, "type": "function_call", "status": "in_progress", "arguments": "",
                "call_id": call_id, "name": name,
            }),
        }
    }

    fn done(&self) -> Value {
        match self {
            Self::Reasoning { id, summary } => json!({
                "id": id, "type": "reasoning",
                "summary": [{ "type": "summary_text", "text": summary }],
            }),
            Self::Message { id, text, .. } => json!({
                "id": id, "type": "message", "status": "completed", "content": [part(text)],
                "role": "assistant",
            }),
            Self::Call {
                id,
                call_id,
                name,
                arguments,
            } => json!({
                "id": id, "type": "function_call", "status": "completed", "arguments": arguments,
                "call_id": call_id, "name": name,
            }),
        }
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

// ===== Streams =====

pub(super) fn frames(turn: &Turn, stamp: &Stamp) -> Frames {
    let mut response = response(turn, stamp);
    let mut events = Events::default();
    events.add("response.created", json!({ "response": response }));
    events.add("response.in_progress", json!({ "response": response }));
    let opening = vec![events.take()];
    let items = Item::all(turn);
    for (place, item) in items.iter().enumerate() {
        events.item(place, item);
    }
    finish(&mut response, turn, items.iter().map(Item::done).collect());
    let last = match turn.stop {
        Stop::Length | Stop::Filtered => "response.incomplete",
        Stop::End | Stop::Tool | Stop::Sequence(_) => "response.completed",
    };
    events.add(last, json!({ "response": response }));
    let closing = vec![events.take()];
    Frames {
        opening,
        content: events.content,
        closing,
    }
}

/// Numbered events. Those without content come along with the next that has some.
#[derive(Default)]
struct Events {
    number: u64,
    pending: String,
    content: Vec<Bytes>,
}

impl Events {
    fn item(&mut self, place: usize, item: &Item<'_>) {
        self.add(
            "response.output_item.added",
            json!({ "item": item.begun(), "output_index": place }),
        );
        match item {
            Item::Reasoning { id, summary } => {
                let part = |text: &str| json!({ "type": "summary_text", "text": text });
                let at = json!({ "item_id": id, "output_index": place, "summary_index": 0 });
                self.add_at(
                    "response.reasoning_summary_part.added",
                    &at,
                    json!({ "part": part("") }),
                );
                for word in words(summary) {
                    self.add_at(
                        "response.reasoning_summary_text.delta",
                        &at,
                        json!({ "delta": word }),
                    );
                    self.chunk();
                }
                self.add_at(
                    "response.reasoning_summary_text.done",
                    &at,
                    json!({ "text": summary }),
                );
                self.add_at(
                    "response.reasoning_summary_part.done",
                    &at,
                    json!({ "part": part(summary) }),
                );
            }
            Item::Message { id, text, pieces } => {
                let at = json!({ "item_id": id, "output_index": place, "content_index": 0 });
                self.add_at(
                    "response.content_part.added",
                    &at,
                    json!({ "part": part("") }),
                );
                for piece in pieces {
                    self.add_at(
                        "response.output_text.delta",
                        &at,
                        json!({ "delta": piece, "logprobs": [] }),
                    );
                    self.chunk();
                }
                self.add_at(
                    "response.output_text.done",
                    &at,
                    json!({ "text": text, "logprobs": [] }),
                );
                self.add_at(
                    "response.content_part.done",
                    &at,
                    json!({ "part": part(text) }),
                );
            }
            Item::Call { id, arguments, .. } => {
                let at = json!({ "item_id": id, "output_index": place });
                for piece in json_pieces(arguments) {
                    let delta = json!({ "delta": piece });
                    self.add_at("response.function_call_arguments.delta", &at, delta);
                    self.chunk();
                }
                let done = json!({ "arguments": arguments });
                self.add_at("response.function_call_arguments.done", &at, done);
            }
        }
        self.add(
            "response.output_item.done",
            json!({ "item": item.done(), "output_index": place }),
        );
    }

    fn add(&mut self, kind: &str, data: Value) {
        self.add_at(kind, &Value::Null, data);
    }

    fn add_at(&mut self, kind: &str, at: &Value, mut data: Value) {
        if let Some(at) = at.as_object() {
            for (key, value) in at {
                data[key] = value.clone();
            }
        }
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.number);
        self.number += 1;
        self.pending
            .push_str(&format!("event: {kind}\ndata: {data}\n\n"));
    }

    /// What has gathered is one chunk of content.
    fn chunk(&mut self) {
        let chunk = self.take();
        self.content.push(chunk);
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.pending).into()
    }
}

/// The error that ends a stream, and the response that failed by it.
pub(super) fn error_event() -> Bytes {
    const MESSAGE: &str =
        "The server had an error while processing your request. Sorry about that!";
    let error = json!({
        "type": "error",
        "error": { "type": "server_error", "code": "server_error", "message": MESSAGE, "param": null },
    });
    let failed = json!({
        "type": "response.failed",
        "response": {
            "id": ids::hex("resp_", 48),
            "object": "response",
            "status": "failed",
            "error": { "code": "server_error", "message": MESSAGE },
            "output": [],
            "usage": null,
        },
    });
    format!("event: error\ndata: {error}\n\nevent: response.failed\ndata: {failed}\n\n").into()
}
