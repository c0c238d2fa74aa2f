use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    dialect::{
        Frames,
        fields::{json_pieces, quoted},
    },
    ids,
    script::{Stop, words},
    turn::Turn,
};

pub(in crate::dialect) fn whole(turn: &Turn) -> Bytes {
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
        content.push(json!({
            "type": "tool_use", "id": tool_id(), "name": call.name, "input": call.input(),
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

pub(in crate::dialect) fn frames(turn: &Turn) -> Frames {
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
        for piece in json_pieces(&call.text()) {
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
            quoted(text),
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

pub(in crate::dialect) fn ping() -> Bytes {
    Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n")
}

pub(super) fn event(data: &Value) -> Bytes {
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
