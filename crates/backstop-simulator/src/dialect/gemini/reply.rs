use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    dialect::{Frames, Framing},
    ids,
    script::Stop,
    turn::Turn,
};

pub(in crate::dialect) fn whole(turn: &Turn) -> Bytes {
    let mut parts = Vec::new();
    if let Some(thinking) = &turn.reply.thinking {
        parts.push(json!({ "text": thinking, "thought": true }));
    }
    if !turn.reply.text.is_empty() {
        parts.push(json!({ "text": turn.reply.text }));
    }
    parts.extend(calls(turn));
    let writer = Writer::new(turn);
    let body = writer.response(
        Value::Array(parts),
        Some(finish_reason(&turn.stop)),
        turn.output_tokens,
    );
    format!("{body:#}\n").into()
}

/// Function calls come whole, with an id each and a signature on the first.
fn calls(turn: &Turn) -> impl Iterator<Item = Value> {
    turn.reply
        .tool_calls
        .iter()
        .enumerate()
        .map(|(place, call)| {
            let id = ids::alphanumeric("", 8);
            let call = json!({ "name": call.name, "args": call.input(), "id": id });
            let mut part = Map::from_iter([("functionCall".to_owned(), call)]);
            if place == 0 {
                let signature = ids::alphanumeric("EsINCr8NAb4", 64) + "==";
                part.insert("thoughtSignature".to_owned(), signature.into());
            }
            Value::Object(part)
        })
}

const fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Tool => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Filtered => "SAFETY",
    }
}

pub(super) fn response_id() -> String {
    ids::alphanumeric("", 22)
}

pub(in crate::dialect) fn frames(turn: &Turn, framing: Framing) -> Frames {
    let writer = Writer::new(turn);
    let mut responses = Vec::new();
    let mut said = 0;
    let mut say = |part: Value, tokens: u64| {
        said += tokens;
        responses.push(writer.response(json!([part]), None, said.min(turn.output_tokens)));
    };
    for word in turn.reply.thoughts() {
        say(json!({ "text": word, "thought": true }), 1);
    }
    if !turn.reply.text.is_empty() {
        for piece in turn.reply.pieces() {
            say(json!({ "text": piece }), 1);
        }
    }
    for call in calls(turn) {
        say(call, 4);
    }
    let last = writer.response(
        json!([{ "text": "" }]),
        Some(finish_reason(&turn.stop)),
        turn.output_tokens,
    );
    match framing {
        Framing::Events => Frames {
            opening: Vec::new(),
            content: responses.iter().map(event).collect(),
            closing: vec![event(&last)],
        },
        Framing::Array => Frames {
            opening: vec![Bytes::from_static(b"[")],
            content: responses
                .iter()
                .map(|element| format!("{element:#}\n,\r\n").into())
                .collect(),
            closing: vec![format!("{last:#}\n]").into()],
        },
    }
}

pub(super) fn event(response: &Value) -> Bytes {
    format!("data: {response}\r\n\r\n").into()
}

struct Writer<'a> {
    turn: &'a Turn,
    id: String,
}

impl<'a> Writer<'a> {
    fn new(turn: &'a Turn) -> Self {
        Self {
            turn,
            id: response_id(),
        }
    }

    /// Usage comes with every piece and grows; thoughts are not among the candidate's tokens.
    fn response(&self, parts: Value, finish: Option<&str>, output_tokens: u64) -> Value {
        let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
        if let Some(finish) = finish {
            candidate["finishReason"] = json!(finish);
        }
        let thoughts = self.turn.thinking_tokens.min(output_tokens);
        let input = self.turn.ask.input_tokens;
        let mut usage = json!({
            "promptTokenCount": input,
            "candidatesTokenCount": output_tokens - thoughts,
            "totalTokenCount": input + output_tokens,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": input }],
        });
        if thoughts > 0 {
            usage["thoughtsTokenCount"] = json!(thoughts);
        }
        json!({
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self.turn.ask.model,
            "responseId": self.id,
        })
    }
}
