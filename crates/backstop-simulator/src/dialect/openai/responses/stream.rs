use bytes::Bytes;
use serde_json::{Value, json};

use super::reply::{Item, finish, part, response};
use crate::{
    dialect::{Frames, Stamp, fields::json_pieces},
    ids,
    script::{Stop, words},
    turn::Turn,
};

pub(in crate::dialect) fn frames(turn: &Turn, stamp: &Stamp) -> Frames {
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
pub(in crate::dialect) fn error_event() -> Bytes {
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
