use bytes::Bytes;
use serde_json::{Value, json};

use crate::{dialect::Stamp, ids, script::Stop, turn::Turn};

pub(in crate::dialect) fn whole(turn: &Turn, stamp: &Stamp) -> Bytes {
    let output: Vec<Value> = Item::all(turn).iter().map(Item::done).collect();
    let mut response = response(turn, stamp);
    finish(&mut response, turn, output);
    format!("{response:#}").into()
}

pub(super) fn response(turn: &Turn, stamp: &Stamp) -> Value {
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

pub(super) fn finish(response: &mut Value, turn: &Turn, output: Vec<Value>) {
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
pub(super) enum Item<'a> {
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
    pub(super) fn all(turn: &'a Turn) -> Vec<Self> {
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
            arguments: call.text(),
        });
        reasoning.into_iter().chain(message).chain(calls).collect()
    }

    pub(super) fn begun(&self) -> Value {
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

    pub(super) fn done(&self) -> Value {
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

pub(super) fn part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}
