//! Streams, written to a caller.

use backstop_core::ServedBy;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    item_out::annotation,
    response::{OutResponse, Stage, own_id},
    stream_items::{Item, Items, Kind},
    whole::{redacted, whole_item},
};
use crate::{
    Chunk, Collector, Completion, Dialect, Error, Event, Raw, clock,
    dialect::Encoder,
    error::view,
    json_write::{number, string},
    openai::{WireExtra, error},
};

const ADDED: &str = "response.output_item.added";
const DONE: &str = "response.output_item.done";

/// Writes one stream.
///
/// The dialect repeats at the end of each item what its pieces said, and at the end of the stream
/// the whole response, so what has been written is kept. Pieces of several tool calls may come
/// mixed: an item is opened for each and all are closed together.
#[derive(Debug, Default)]
pub(super) struct Writer {
    sequence: u64,
    started: bool,
    /// When the answer began, in seconds since 1970.
    created: Option<u64>,
    collected: Collector,
    items: Items,
    /// Thoughts without words that came while something else was being said.
    waiting: Vec<String>,
    /// What is to be told of who served, right before the end.
    served: Option<Value>,
}

impl Writer {
    /// Writes the beginning of an event: its type and number. Its fields and a brace follow.
    fn head(&mut self, out: &mut Vec<u8>, kind: &str) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":");
        string(out, kind);
        out.extend_from_slice(b",\"sequence_number\":");
        number(out, self.sequence);
        self.sequence += 1;
    }

    /// Writes one event; `body` is an object whose fields follow the type.
    fn event(&mut self, out: &mut Vec<u8>, kind: &str, body: &(impl Serialize + ?Sized)) {
        self.head(out, kind);
        let body = serde_json::to_vec(body).unwrap_or_default();
        if let Some(fields) = body.strip_prefix(b"{").filter(|rest| rest.len() > 1) {
            out.push(b',');
            out.extend_from_slice(fields);
        } else {
            out.push(b'}');
        }
        out.extend_from_slice(b"\n\n");
    }

    /// Writes a piece of an item.
    fn delta(&mut self, out: &mut Vec<u8>, kind: &str, index: &str, place: usize, delta: &str) {
        self.items.get_mut(place).text.push_str(delta);
        self.head(out, kind);
        out.extend_from_slice(b",\"item_id\":");
        string(out, &self.items.get(place).id);
        out.extend_from_slice(b",\"output_index\":");
        number(out, place);
        out.extend_from_slice(index.as_bytes());
        out.extend_from_slice(b",\"delta\":");
        string(out, delta);
        out.extend_from_slice(b"}\n\n");
    }

    /// Writes an event about an item.
    fn about(&mut self, out: &mut Vec<u8>, kind: &str, place: usize, mut body: Value) {
        body["item_id"] = self.items.get(place).id.as_str().into();
        body["output_index"] = place.into();
        self.event(out, kind, &body);
    }

    /// Writes an event that brings the response as it stands.
    fn response(&mut self, out: &mut Vec<u8>, kind: &str, response: &OutResponse<'_>) {
        #[derive(Serialize)]
        struct Body<'a> {
            response: &'a OutResponse<'a>,
        }
        self.event(out, kind, &Body { response });
    }

    /// The answer as far as it has come. All events that bring it tell the same time.
    fn so_far(&mut self) -> Completion {
        let mut completion = self.collected.clone().finish();
        let created = self.created.or(completion.created);
        completion.created = Some(clock::made(created));
        self.created = completion.created;
        completion
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

    /// The id of the next item.
    fn next_id(&self, start: &str) -> String {
        let response = own_id("resp", self.collected.id());
        format!("{start}_{response}_{}", self.items.len())
    }

    /// Writes an event that brings an item, which begins or is done.
    fn bring(&mut self, kind: &str, place: usize, item: &Value, out: &mut Vec<u8>) {
        let body = json!({ "output_index": place, "item": item });
        self.event(out, kind, &body);
    }

    /// Opens an item. Whatever else is open is closed first, but for tool calls beside another.
    fn begin(&mut self, kind: Kind, start: &str, mut item: Value, out: &mut Vec<u8>) -> usize {
        if !matches!(kind, Kind::Tool(_)) || !self.items.only_tools_are_open() {
            self.close(out);
        }
        let id = self.next_id(start);
        item["id"] = id.as_str().into();
        let place = self.items.open(Item::new(kind, id));
        self.bring(ADDED, place, &item, out);
        place
    }

    /// Writes an item that came as a whole.
    fn whole(&mut self, start: &str, mut item: Value, out: &mut Vec<u8>) {
        self.close(out);
        if !item["id"].is_string() {
            item["id"] = self.next_id(start).into();
        }
        let id = item["id"].as_str().unwrap_or_default().to_owned();
        let place = self.items.add(id, item.clone());
        self.bring(ADDED, place, &item, out);
        self.bring(DONE, place, &item, out);
    }

    /// Closes all items that are open, and writes those that waited for that.
    fn close(&mut self, out: &mut Vec<u8>) {
        for place in self.items.close() {
            self.close_item(place, out);
        }
        for sealed in std::mem::take(&mut self.waiting) {
            self.thought(sealed, out);
        }
    }

    fn close_item(&mut self, place: usize, out: &mut Vec<u8>) {
        let item = self.items.get(place);
        let (part, text) = (item.part(), item.text.clone());
        match item.kind {
            Kind::Message => {
                let said = json!({ "content_index": 0, "text": text, "logprobs": [] });
                self.about(out, "response.output_text.done", place, said);
                let said = json!({ "content_index": 0, "part": part });
                self.about(out, "response.content_part.done", place, said);
            }
            Kind::Refusal => {
                let said = json!({ "content_index": 0, "refusal": text });
                self.about(out, "response.refusal.done", place, said);
                let said = json!({ "content_index": 0, "part": part });
                self.about(out, "response.content_part.done", place, said);
            }
            Kind::Reasoning => {
                let said = json!({ "summary_index": 0, "text": text });
                self.about(out, "response.reasoning_summary_text.done", place, said);
                let said = json!({ "summary_index": 0, "part": part });
                self.about(out, "response.reasoning_summary_part.done", place, said);
            }
            Kind::Tool(_) => {
                let said = json!({ "name": item.call.1, "arguments": text });
                self.about(out, "response.function_call_arguments.done", place, said);
            }
            Kind::Other => {}
        }
        let whole = self.items.finish(place);
        self.bring(DONE, place, &whole, out);
    }

    /// The message that is open, or else one that is opened now.
    fn message(&mut self, kind: Kind, out: &mut Vec<u8>) -> usize {
        self.items.find(kind).unwrap_or_else(|| {
            let item = json!({
                "type": "message", "status": "in_progress", "role": "assistant", "content": [],
            });
            let place = self.begin(kind, "msg", item, out);
            let part = self.items.get(place).part();
            let begun = json!({ "content_index": 0, "part": part });
            self.about(out, "response.content_part.added", place, begun);
            place
        })
    }

    /// Writes a piece of what is said or refused.
    fn say(&mut self, kind: Kind, delta: &str, out: &mut Vec<u8>) {
        let place = self.message(kind, out);
        let (kind, index) = match kind {
            Kind::Refusal => ("response.refusal.delta", ",\"content_index\":0"),
            _ => (
                "response.output_text.delta",
                ",\"content_index\":0,\"logprobs\":[]",
            ),
        };
        self.delta(out, kind, index, place, delta);
    }

    fn think(&mut self, delta: &str, out: &mut Vec<u8>) {
        let open = self.items.find(Kind::Reasoning);
        let unsealed = open.filter(|place| self.items.get(*place).seal.is_none());
        let place = unsealed.unwrap_or_else(|| {
            let item = json!({ "type": "reasoning", "summary": [] });
            let place = self.begin(Kind::Reasoning, "rs", item, out);
            let begun = json!({
                "summary_index": 0, "part": { "type": "summary_text", "text": "" },
            });
            self.about(out, "response.reasoning_summary_part.added", place, begun);
            place
        });
        let kind = "response.reasoning_summary_text.delta";
        self.delta(out, kind, ",\"summary_index\":0", place, delta);
    }

    /// What proves a thought: the one that is open, or one without words.
    fn seal(&mut self, sealed: String, out: &mut Vec<u8>) {
        let Some(place) = self.items.find(Kind::Reasoning) else {
            return self.wordless(sealed, out);
        };
        // A proof may come in pieces.
        let item = self.items.get_mut(place);
        item.seal = Some(match item.seal.take() {
            Some(Value::String(begun)) => (begun + &sealed).into(),
            _ => sealed.into(),
        });
    }

    /// A thought without words; it interrupts nothing that is being said.
    fn wordless(&mut self, sealed: String, out: &mut Vec<u8>) {
        if self.items.is_busy() && self.items.find(Kind::Reasoning).is_none() {
            self.waiting.push(sealed);
        } else {
            self.thought(sealed, out);
        }
    }

    fn thought(&mut self, sealed: String, out: &mut Vec<u8>) {
        let item = json!({ "type": "reasoning", "summary": [], "encrypted_content": sealed });
        self.whole("rs", item, out);
    }

    fn cite(&mut self, citation: &crate::Citation, out: &mut Vec<u8>) {
        let Some(json) = annotation(citation) else {
            return;
        };
        // A source may be named before the first word of the text.
        let place = self.message(Kind::Message, out);
        let annotations = &mut self.items.get_mut(place).annotations;
        annotations.push(json.clone());
        let index = annotations.len() - 1;
        let body = json!({ "content_index": 0, "annotation_index": index, "annotation": json });
        self.about(out, "response.output_text.annotation.added", place, body);
    }

    fn item(&mut self, event: &Event, out: &mut Vec<u8>) {
        // The dialect has no place for a second answer.
        if event.choice().is_some_and(|choice| choice > 0) {
            return;
        }
        match event {
            Event::Start { .. } => self.start(out),
            Event::Text { delta, .. } => self.say(Kind::Message, delta, out),
            Event::Refusal { delta, .. } => self.say(Kind::Refusal, delta, out),
            Event::Thinking { delta, .. } => self.think(delta, out),
            Event::Citation { citation, .. } => self.cite(citation, out),
            Event::ToolCall {
                index, id, name, ..
            } => {
                let item = json!({
                    "type": "function_call", "status": "in_progress", "call_id": id,
                    "name": name, "arguments": "",
                });
                let place = self.begin(Kind::Tool(*index), "fc", item, out);
                self.items.get_mut(place).call = (id.clone(), name.clone());
            }
            Event::ToolArguments { index, delta, .. } => {
                if let Some(place) = self.items.find(Kind::Tool(*index)) {
                    let kind = "response.function_call_arguments.delta";
                    self.delta(out, kind, "", place, delta);
                }
            }
            Event::Signature {
                tool: None,
                signature,
                ..
            } => self.seal(signature.to_wire(Dialect::Responses), out),
            Event::Signature {
                tool: Some(index),
                signature,
                ..
            } => {
                if let Some(place) = self.items.find(Kind::Tool(*index)) {
                    let seal = serde_json::to_value(WireExtra::write(signature));
                    self.items.get_mut(place).seal = seal.ok();
                }
            }
            Event::RedactedThinking { data, .. } => self.wordless(redacted(data), out),
            Event::Part { part, .. } => {
                if let Some((start, item)) = whole_item(part) {
                    self.whole(start, item, out);
                }
            }
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => self.end(out),
            Event::Finish { .. } | Event::Usage(_) => {}
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
        let response = OutResponse::new(&completion, Stage::Ended).with_output(self.items.output());
        let kind = format!("response.{}", response.status());
        self.response(out, &kind, &response);
    }

    /// Passes on a chunk of the dialect's own, and takes note of it for what may follow.
    fn pass_on(&mut self, raw: &Raw, events: &[Event], out: &mut Vec<u8>) {
        self.tell(out);
        self.started = true;
        self.sequence += 1;
        if memchr::memmem::find(&raw.bytes, b"response.output_item.").is_some() {
            let data = raw.bytes.split(|byte| *byte == b'\n');
            let data = data.filter_map(|line| line.strip_prefix(b"data:"));
            data.for_each(|data| self.items.note(data));
        }
        for event in events {
            if let (Event::Text { delta, .. }, Some(place)) =
                (event, self.items.find(Kind::Message))
            {
                self.items.get_mut(place).text.push_str(delta);
            }
        }
        raw.write(out);
    }
}

impl Encoder for Writer {
    fn chunk(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        for event in &chunk.events {
            self.collected.push(event.clone());
        }
        match &chunk.raw {
            Some(raw) if raw.dialect == Dialect::Responses => {
                self.pass_on(raw, &chunk.events, out);
            }
            _ => {
                for event in &chunk.events {
                    if !matches!(event, Event::Ping) {
                        self.start(out);
                    }
                    self.item(event, out);
                }
            }
        }
    }

    fn served(&mut self, served: &ServedBy, _: &mut Vec<u8>) {
        self.served = Some(json!({
            "backstop": view::served(served)
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
        let response = OutResponse::new(&completion, Stage::Failed)
            .with_output(self.items.output())
            .failed(crate::Json::of(&told));
        self.response(out, "response.failed", &response);
    }
}
