//! Streams, written to a caller.

use backstop_core::ServedBy;
use serde::Serialize;
use serde_json::{Value, json};

use super::response::{OutResponse, Stage, own_id};
use crate::{
    Chunk, Collector, Completion, Dialect, Error, Event, Json, dialect::Encoder,
    error::view::attempts, json_write::string, openai::error,
};

/// The item that is being written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Open {
    Message,
    Reasoning,
    /// This one of the answer's tool calls.
    Tool(u32),
}

/// Writes one stream.
///
/// The dialect repeats at the end of each item what its pieces said, and at the end of the stream
/// the whole response, so what has been written is kept. Pieces of several tool calls may come
/// mixed: an item is opened for each and all are closed together.
#[derive(Debug, Default)]
pub(super) struct Writer {
    sequence: u64,
    started: bool,
    collected: Collector,
    /// The items begun: what they are, and what their pieces said.
    items: Vec<(Open, String)>,
    /// The items that are not closed yet.
    open: Vec<usize>,
    /// The token of the thought that is being written.
    signature: Option<String>,
    /// What is to be told of who served, right before the end.
    served: Option<Value>,
}

impl Writer {
    /// Writes one event; `body` is an object whose fields follow the type.
    fn event(&mut self, out: &mut Vec<u8>, kind: &str, body: &(impl Serialize + ?Sized)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":");
        string(out, kind);
        out.extend_from_slice(b",\"sequence_number\":");
        out.extend_from_slice(self.sequence.to_string().as_bytes());
        self.sequence += 1;
        let body = serde_json::to_vec(body).unwrap_or_default();
        if let Some(fields) = body.strip_prefix(b"{").filter(|rest| rest.len() > 1) {
            out.push(b',');
            out.extend_from_slice(fields);
        } else {
            out.push(b'}');
        }
        out.extend_from_slice(b"\n\n");
    }

    /// Writes an event that brings the response as it stands.
    fn response(&mut self, out: &mut Vec<u8>, kind: &str, response: &OutResponse<'_>) {
        #[derive(Serialize)]
        struct Body<'a> {
            response: &'a OutResponse<'a>,
        }
        self.event(out, kind, &Body { response });
    }

    fn so_far(&self) -> Completion {
        self.collected.clone().finish()
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let completion = self.so_far();
        let response = OutResponse::new(&completion, Stage::Begun);
        self.response(out, "response.created", &response);
        self.response(out, "response.in_progress", &response);
    }

    fn item_id(&self, place: usize) -> String {
        let response = own_id("resp", &self.so_far_id());
        let start = match self.items.get(place) {
            Some((Open::Message, _)) | None => "msg",
            Some((Open::Reasoning, _)) => "rs",
            Some((Open::Tool(_), _)) => "fc",
        };
        format!("{start}_{response}_{place}")
    }

    fn so_far_id(&self) -> String {
        self.collected.id().to_owned()
    }

    /// The place of an item that is open, if there is one of this kind.
    fn find(&self, open: Open) -> Option<usize> {
        self.open
            .iter()
            .copied()
            .find(|place| self.items[*place].0 == open)
    }

    /// Opens an item. Whatever else is open is closed first, but for tool calls beside another.
    fn begin(&mut self, open: Open, item: Value, out: &mut Vec<u8>) -> usize {
        let beside = matches!(open, Open::Tool(_))
            && self
                .open
                .iter()
                .all(|place| matches!(self.items[*place].0, Open::Tool(_)));
        if !beside {
            self.close(out);
        }
        let place = self.items.len();
        self.items.push((open, String::new()));
        self.open.push(place);
        let mut item = item;
        item["id"] = self.item_id(place).into();
        self.event(
            out,
            "response.output_item.added",
            &json!({
                "output_index": place, "item": item,
            }),
        );
        place
    }

    /// Closes all items that are open.
    fn close(&mut self, out: &mut Vec<u8>) {
        for place in std::mem::take(&mut self.open) {
            self.close_item(place, out);
        }
    }

    fn close_item(&mut self, place: usize, out: &mut Vec<u8>) {
        let id = self.item_id(place);
        let (open, text) = self.items[place].clone();
        let done = match open {
            Open::Message => {
                let part = json!({
                    "type": "output_text", "text": text, "annotations": [], "logprobs": [],
                });
                self.event(
                    out,
                    "response.output_text.done",
                    &json!({
                        "item_id": id, "output_index": place, "content_index": 0, "text": text,
                        "logprobs": [],
                    }),
                );
                self.event(
                    out,
                    "response.content_part.done",
                    &json!({
                        "item_id": id, "output_index": place, "content_index": 0, "part": part,
                    }),
                );
                json!({
                    "id": id, "type": "message", "status": "completed", "role": "assistant",
                    "content": [part],
                })
            }
            Open::Reasoning => {
                let part = json!({ "type": "summary_text", "text": text });
                self.event(
                    out,
                    "response.reasoning_summary_text.done",
                    &json!({
                        "item_id": id, "output_index": place, "summary_index": 0, "text": text,
                    }),
                );
                self.event(
                    out,
                    "response.reasoning_summary_part.done",
                    &json!({
                        "item_id": id, "output_index": place, "summary_index": 0, "part": part,
                    }),
                );
                let mut item = json!({ "id": id, "type": "reasoning", "summary": [part] });
                if let Some(signature) = self.signature.take() {
                    item["encrypted_content"] = signature.into();
                }
                item
            }
            Open::Tool(index) => {
                self.event(
                    out,
                    "response.function_call_arguments.done",
                    &json!({
                        "item_id": id, "output_index": place, "arguments": text,
                    }),
                );
                let (call_id, name) = self.collected.call_of(0, index).unwrap_or_default();
                json!({
                    "id": id, "type": "function_call", "status": "completed",
                    "call_id": call_id, "name": name, "arguments": text,
                })
            }
        };
        self.event(
            out,
            "response.output_item.done",
            &json!({
                "output_index": place, "item": done,
            }),
        );
    }

    /// Writes a piece of the item that is open, opening it first.
    fn text(&mut self, delta: &str, out: &mut Vec<u8>) {
        let place = self.find(Open::Message).unwrap_or_else(|| {
            let item = json!({
                "type": "message", "status": "in_progress", "role": "assistant", "content": [],
            });
            let place = self.begin(Open::Message, item, out);
            let id = self.item_id(place);
            self.event(out, "response.content_part.added", &json!({
                "item_id": id, "output_index": place, "content_index": 0,
                "part": { "type": "output_text", "text": "", "annotations": [], "logprobs": [] },
            }));
            place
        });
        self.items[place].1.push_str(delta);
        let id = self.item_id(place);
        self.event(
            out,
            "response.output_text.delta",
            &json!({
                "item_id": id, "output_index": place, "content_index": 0, "delta": delta,
                "logprobs": [],
            }),
        );
    }

    fn think(&mut self, delta: &str, out: &mut Vec<u8>) {
        let place = self.find(Open::Reasoning).unwrap_or_else(|| {
            let item = json!({ "type": "reasoning", "summary": [] });
            let place = self.begin(Open::Reasoning, item, out);
            let id = self.item_id(place);
            self.event(
                out,
                "response.reasoning_summary_part.added",
                &json!({
                    "item_id": id, "output_index": place, "summary_index": 0,
                    "part": { "type": "summary_text", "text": "" },
                }),
            );
            place
        });
        self.items[place].1.push_str(delta);
        let id = self.item_id(place);
        self.event(
            out,
            "response.reasoning_summary_text.delta",
            &json!({
                "item_id": id, "output_index": place, "summary_index": 0, "delta": delta,
            }),
        );
    }

    fn item(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { .. } => self.start(out),
            Event::Text { delta, .. } | Event::Refusal { delta, .. } => self.text(delta, out),
            Event::Thinking { delta, .. } => self.think(delta, out),
            Event::ToolCall {
                index, id, name, ..
            } => {
                let item = json!({
                    "type": "function_call", "status": "in_progress", "call_id": id,
                    "name": name, "arguments": "",
                });
                self.begin(Open::Tool(*index), item, out);
            }
            Event::ToolArguments { index, delta, .. } => {
                if let Some(place) = self.find(Open::Tool(*index)) {
                    self.items[place].1.push_str(delta);
                    let id = self.item_id(place);
                    self.event(
                        out,
                        "response.function_call_arguments.delta",
                        &json!({
                            "item_id": id, "output_index": place, "delta": delta,
                        }),
                    );
                }
            }
            Event::Signature {
                tool: None,
                signature,
                ..
            } if self.find(Open::Reasoning).is_some() => {
                self.signature = Some(signature.to_wire(Dialect::Responses));
            }
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => self.end(out),
            _ => {}
        }
    }

    fn tell(&mut self, out: &mut Vec<u8>) {
        if let Some(told) = self.served.take() {
            // Callers pass over events that they don't know.
            self.event(out, "backstop", &told);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        self.tell(out);
        let completion = self.so_far();
        let response = OutResponse::new(&completion, Stage::Ended);
        let kind = format!("response.{}", response.status());
        self.response(out, &kind, &response);
    }
}

impl Encoder for Writer {
    fn chunk(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        let own = chunk
            .raw
            .as_ref()
            .filter(|raw| raw.dialect == Dialect::Responses);
        for event in &chunk.events {
            self.collected.push(event.clone());
            if own.is_none() {
                if !matches!(event, Event::Ping) {
                    self.start(out);
                }
                self.item(event, out);
            }
        }
        if let Some(raw) = own {
            self.tell(out);
            self.started = true;
            self.sequence += 1;
            out.extend_from_slice(&raw.bytes);
            // Some servers forget the blank line after their last event.
            while !out.ends_with(b"\n\n") && !out.ends_with(b"\n\r\n") {
                out.push(b'\n');
            }
        }
    }

    fn served(&mut self, served: &ServedBy, _: &mut Vec<u8>) {
        self.served = Some(json!({
            "backstop": {
                "served_by": served.to_string(),
                "degraded": served.degraded,
                "attempts": attempts(&served.trail),
            },
        }));
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        let body = error::render(error);
        let mut failed: Value = serde_json::from_slice(&body).unwrap_or_default();
        let failed = failed["error"].take();
        if !self.started {
            self.event(out, "error", &failed);
            return;
        }
        let code = failed["code"].as_str().unwrap_or("server_error");
        let mut told = failed.clone();
        told["code"] = code.into();
        let mut completion = self.so_far();
        if let Some(usage) = error.usage() {
            completion.usage = Some(usage);
        }
        let response = OutResponse::new(&completion, Stage::Failed).failed(Json::of(&told));
        self.response(out, "response.failed", &response);
    }
}
