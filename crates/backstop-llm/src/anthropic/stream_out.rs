//! Streams, written to a caller.

use backstop_core::ServedBy;
use serde_json::json;

use super::{
    block::{To, native_citation, write_block},
    error,
    response::{OutUsage, write_stop},
};
use crate::{
    Chunk, Dialect, Error, Event, FinishReason, Usage,
    dialect::Encoder,
    error::view,
    json_write::{number, string},
};

/// The block that is being written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Open {
    Text,
    Thinking,
    Tool(u32),
    /// One that comes as a whole.
    Whole,
}

/// Writes one stream.
///
/// The dialect writes one block after the other. Others may mix the pieces of several tool calls:
/// while one call is being written, the pieces of the others wait until the answer goes on with
/// something else.
#[derive(Debug, Default)]
pub(super) struct Writer {
    started: bool,
    /// How many blocks have been begun.
    blocks: u32,
    open: Option<Open>,
    /// Calls that wait, with their pieces.
    waiting: Vec<(u32, Vec<Event>)>,
    usage: Option<Usage>,
    finish: Option<(FinishReason, Option<String>)>,
    /// What is to be told of who served, right before the end.
    served: Option<serde_json::Value>,
}

impl Writer {
    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        let usage = OutUsage::from(self.usage.unwrap_or_default());
        let message = json!({
            "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        event(out, "message_start", |out| {
            out.extend_from_slice(b",\"message\":");
            out.extend_from_slice(message.to_string().as_bytes());
        });
    }

    /// Begins a block, ending the one before.
    fn open(&mut self, open: Open, out: &mut Vec<u8>, block: impl FnOnce(&mut Vec<u8>)) {
        self.close(out);
        self.open = Some(open);
        event(out, "content_block_start", |out| {
            index(out, self.blocks);
            out.extend_from_slice(b",\"content_block\":{");
            block(out);
            out.push(b'}');
        });
        self.blocks += 1;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            event(out, "content_block_stop", |out| {
                index(out, self.blocks.saturating_sub(1));
            });
        }
    }

    fn delta(&self, out: &mut Vec<u8>, kind: &str, field: &str, text: &str) {
        event(out, "content_block_delta", |out| {
            index(out, self.blocks.saturating_sub(1));
            out.extend_from_slice(b",\"delta\":{\"type\":");
            string(out, kind);
            out.push(b',');
            string(out, field);
            out.push(b':');
            string(out, text);
            out.push(b'}');
        });
    }

    /// Writes the calls that waited.
    fn flush(&mut self, out: &mut Vec<u8>) {
        for (_, events) in std::mem::take(&mut self.waiting) {
            self.close(out);
            for event in &events {
                self.event(event, out);
            }
        }
    }

    fn begin_text(&mut self, out: &mut Vec<u8>) {
        if self.open != Some(Open::Text) {
            self.flush(out);
            self.open(Open::Text, out, |out| {
                out.extend_from_slice(b"\"type\":\"text\",\"text\":\"\"");
            });
        }
    }

    fn text(&mut self, delta: &str, out: &mut Vec<u8>) {
        self.begin_text(out);
        self.delta(out, "text_delta", "text", delta);
    }

    fn think(&mut self, out: &mut Vec<u8>) {
        if self.open != Some(Open::Thinking) {
            self.flush(out);
            self.open(Open::Thinking, out, |out| {
                out.extend_from_slice(
                    b"\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"",
                );
            });
        }
    }

    fn tool(&mut self, event: &Event, call: u32, out: &mut Vec<u8>) {
        let busy = matches!(self.open, Some(Open::Tool(open)) if open != call);
        if busy {
            match self.waiting.iter_mut().find(|(of, _)| *of == call) {
                Some((_, events)) => events.push(event.clone()),
                None => self.waiting.push((call, vec![event.clone()])),
            }
            return;
        }
        match event {
            Event::ToolCall { id, name, .. } => self.open(Open::Tool(call), out, |out| {
                out.extend_from_slice(b"\"type\":\"tool_use\",\"id\":");
                string(out, id);
                out.extend_from_slice(b",\"name\":");
                string(out, name);
                out.extend_from_slice(b",\"input\":{}");
            }),
            Event::ToolArguments { delta, .. } => {
                self.delta(out, "input_json_delta", "partial_json", delta);
            }
            _ => {}
        }
    }

    fn event(&mut self, item: &Event, out: &mut Vec<u8>) {
        // The dialect has no place for a second answer.
        if item.choice().is_some_and(|choice| choice > 0) {
            return;
        }
        match item {
            Event::Start { id, model, .. } => self.start(id, model, out),
            Event::Text { delta, .. } | Event::Refusal { delta, .. } => self.text(delta, out),
            Event::Thinking { delta, .. } => {
                self.think(out);
                self.delta(out, "thinking_delta", "thinking", delta);
            }
            Event::Signature {
                tool: None,
                signature,
                ..
            } => {
                self.think(out);
                let signature = signature.to_wire(Dialect::Anthropic);
                self.delta(out, "signature_delta", "signature", &signature);
                self.close(out);
            }
            Event::RedactedThinking { data, .. } => {
                self.flush(out);
                self.open(Open::Thinking, out, |out| {
                    out.extend_from_slice(b"\"type\":\"redacted_thinking\",\"data\":");
                    string(out, &data.to_wire(Dialect::Anthropic));
                });
                self.close(out);
            }
            Event::Citation { citation, .. } => {
                if let Some(json) = native_citation(citation) {
                    self.begin_text(out);
                    event(out, "content_block_delta", |out| {
                        index(out, self.blocks.saturating_sub(1));
                        out.extend_from_slice(
                            b",\"delta\":{\"type\":\"citations_delta\",\"citation\":",
                        );
                        out.extend_from_slice(json.get().as_bytes());
                        out.push(b'}');
                    });
                }
            }
            Event::ToolCall { index, .. } | Event::ToolArguments { index, .. } => {
                self.tool(item, *index, out);
            }
            Event::Finish {
                reason,
                stop_sequence,
                ..
            } => {
                self.flush(out);
                self.close(out);
                self.finish = Some((reason.clone(), stop_sequence.clone()));
            }
            Event::Part { part, .. } => {
                if let Some(block) = write_block(part, To::Caller) {
                    self.flush(out);
                    self.open(Open::Whole, out, |out| {
                        let fields = block.get().as_bytes();
                        out.extend_from_slice(&fields[1..fields.len() - 1]);
                    });
                    self.close(out);
                }
            }
            Event::Ping => event(out, "ping", |_| {}),
            Event::End => self.end(out),
            Event::Usage(_) | Event::Signature { .. } => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let (reason, sequence) = self.finish.take().unwrap_or((FinishReason::Stop, None));
        let usage = OutUsage::from(self.usage.unwrap_or_default());
        let delta = json!({
            "stop_reason": write_stop(&reason, sequence.as_deref()),
            "stop_sequence": sequence,
        });
        event(out, "message_delta", |out| {
            out.extend_from_slice(b",\"delta\":");
            out.extend_from_slice(delta.to_string().as_bytes());
            out.extend_from_slice(b",\"usage\":");
            out.extend_from_slice(&serde_json::to_vec(&usage).unwrap_or_default());
        });
        self.tell(out);
        event(out, "message_stop", |_| {});
    }

    fn tell(&mut self, out: &mut Vec<u8>) {
        if let Some(told) = self.served.take() {
            // Callers ignore events that they don't know.
            event(out, "backstop", |out| {
                out.extend_from_slice(b",\"backstop\":");
                out.extend_from_slice(told.to_string().as_bytes());
            });
        }
    }

    /// Takes note of what an event says that is passed on as it came, for what may follow it.
    fn note(&mut self, item: &Event) {
        match item {
            Event::Start { .. } => self.started = true,
            Event::Text { .. } if self.open != Some(Open::Text) => {
                self.open = Some(Open::Text);
                self.blocks += 1;
            }
            _ => {}
        }
    }
}

/// Writes one event, its type first, then what `rest` adds.
fn event(out: &mut Vec<u8>, kind: &str, rest: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: {\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    rest(out);
    out.extend_from_slice(b"}\n\n");
}

fn index(out: &mut Vec<u8>, index: u32) {
    out.extend_from_slice(b",\"index\":");
    number(out, index);
}

impl Encoder for Writer {
    fn chunk(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        for event in &chunk.events {
            if let Event::Usage(usage) = event {
                self.usage = Some(*usage);
            }
        }
        match &chunk.raw {
            Some(raw) if raw.dialect == Dialect::Anthropic => {
                for event in &chunk.events {
                    self.note(event);
                }
                self.tell(out);
                raw.write(out);
            }
            _ => {
                for event in &chunk.events {
                    self.event(event, out);
                }
            }
        }
    }

    fn served(&mut self, served: &ServedBy, _: &mut Vec<u8>) {
        self.served = Some(view::served(served));
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&error::render(error));
        out.extend_from_slice(b"\n\n");
    }
}
