//! Streams, written to a caller.

use backstop_core::ServedBy;

use super::{
    error,
    message::annotation,
    part::write_part,
    response::{OutUsage, write_finish},
    thought::{WireExtra, WireReasoning},
};
use crate::{
    Chunk, Dialect, Error, Event, Json, Part, Thinking, Usage, clock,
    dialect::Encoder,
    error::view,
    json_write::{number, string},
};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    include_usage: bool,
    /// What every chunk begins with: id, model, time.
    head: Vec<u8>,
    /// The choices whose role has been said.
    begun: Vec<u32>,
    usage: Option<Usage>,
    /// Whether the caller has been told the usage, by a chunk that was passed on.
    usage_told: bool,
}

impl Writer {
    pub(super) const fn new(include_usage: bool) -> Self {
        Self {
            include_usage,
            head: Vec::new(),
            begun: Vec::new(),
            usage: None,
            usage_told: false,
        }
    }

    fn start(&mut self, id: &str, model: &str, created: Option<u64>) {
        if !self.head.is_empty() {
            return;
        }
        let head = &mut self.head;
        head.extend_from_slice(b"data: {\"id\":");
        string(head, id);
        head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        number(head, clock::made(created));
        head.extend_from_slice(b",\"model\":");
        string(head, model);
    }

    /// Writes the beginning of a chunk.
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.start("", "", None);
        out.extend_from_slice(&self.head);
    }

    /// Writes a chunk with one choice, whose delta `write` fills in.
    fn delta(&mut self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        self.begin(out);
        out.extend_from_slice(b",\"choices\":[{\"index\":");
        number(out, choice);
        out.extend_from_slice(b",\"delta\":{");
        if !self.begun.contains(&choice) {
            self.begun.push(choice);
            out.extend_from_slice(b"\"role\":\"assistant\",");
        }
        write(out);
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.extend_from_slice(b"},\"finish_reason\":null}]}\n\n");
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created } => {
                self.start(id, model, *created);
                self.delta(0, out, |out| out.extend_from_slice(b"\"content\":\"\""));
            }
            Event::Text { choice, delta } => self.text(*choice, "content", delta, out),
            Event::Thinking { choice, delta } => {
                self.text(*choice, "reasoning_content", delta, out);
            }
            Event::Refusal { choice, delta } => self.text(*choice, "refusal", delta, out),
            Event::ToolCall {
                choice,
                index,
                id,
                name,
            } => self.delta(*choice, out, |out| {
                out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
                number(out, index);
                out.extend_from_slice(b",\"id\":");
                string(out, id);
                out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
                string(out, name);
                out.extend_from_slice(b",\"arguments\":\"\"}}]");
            }),
            Event::ToolArguments {
                choice,
                index,
                delta,
            } => self.delta(*choice, out, |out| {
                out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
                number(out, index);
                out.extend_from_slice(b",\"function\":{\"arguments\":");
                string(out, delta);
                out.extend_from_slice(b"}}]");
            }),
            Event::Finish { choice, reason, .. } => {
                self.begin(out);
                out.extend_from_slice(b",\"choices\":[{\"index\":");
                number(out, choice);
                out.extend_from_slice(b",\"delta\":{},\"finish_reason\":");
                string(out, write_finish(reason));
                out.extend_from_slice(b"}]}\n\n");
            }
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => {
                if let Some(usage) = self
                    .usage
                    .filter(|_| self.include_usage && !self.usage_told)
                {
                    self.begin(out);
                    out.extend_from_slice(b",\"choices\":[],\"usage\":");
                    let usage = serde_json::to_vec(&OutUsage::from(usage)).unwrap_or_default();
                    out.extend_from_slice(&usage);
                    out.extend_from_slice(b"}\n\n");
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            Event::Signature {
                choice,
                tool: None,
                signature,
            } => self.detail(
                *choice,
                &Thinking {
                    signature: Some(signature.clone()),
                    ..Thinking::default()
                },
                out,
            ),
            Event::RedactedThinking { choice, data } => self.detail(
                *choice,
                &Thinking {
                    redacted: Some(data.clone()),
                    ..Thinking::default()
                },
                out,
            ),
            Event::Signature {
                choice,
                tool: Some(index),
                signature,
            } => {
                let extra = Json::of(&WireExtra::write(signature));
                self.delta(*choice, out, |out| {
                    out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
                    number(out, index);
                    out.extend_from_slice(b",\"function\":{\"arguments\":\"\"},\"extra_content\":");
                    out.extend_from_slice(extra.get().as_bytes());
                    out.extend_from_slice(b"}]");
                });
            }
            Event::Citation { choice, citation } => {
                self.list(*choice, "annotations", annotation(citation), out);
            }
            Event::Part { choice, part } => {
                let picture = Some(part).filter(|part| matches!(&***part, Part::Image(_)));
                let picture = picture.and_then(|part| write_part(part));
                self.list(*choice, "images", picture, out);
            }
            // It is told at the end.
            Event::Usage(_) => {}
        }
    }

    /// Something that a list of the message gets one more of.
    fn list(&mut self, choice: u32, field: &str, json: Option<Json>, out: &mut Vec<u8>) {
        let Some(json) = json else { return };
        self.delta(choice, out, |out| {
            string(out, field);
            out.extend_from_slice(b":[");
            out.extend_from_slice(json.get().as_bytes());
            out.push(b']');
        });
    }

    /// What proves a thought, or the thought encrypted.
    fn detail(&mut self, choice: u32, thinking: &Thinking, out: &mut Vec<u8>) {
        let details: Vec<_> = WireReasoning::write(thinking).into_iter().collect();
        self.delta(choice, out, |out| {
            out.extend_from_slice(b"\"reasoning_details\":");
            out.extend_from_slice(Json::of(&details).get().as_bytes());
        });
    }

    fn text(&mut self, choice: u32, field: &str, text: &str, out: &mut Vec<u8>) {
        self.delta(choice, out, |out| {
            out.push(b'"');
            out.extend_from_slice(field.as_bytes());
            out.extend_from_slice(b"\":");
            string(out, text);
        });
    }

    /// Takes note of what a chunk says that is passed on as it came.
    fn note(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Start { id, model, created } => self.start(id, model, *created),
                Event::Text { choice, .. } if !self.begun.contains(choice) => {
                    self.begun.push(*choice);
                }
                _ => {}
            }
        }
    }
}

/// Whether a chunk tells the usage and nothing else.
fn only_usage(events: &[Event]) -> bool {
    !events.is_empty() && events.iter().all(|event| matches!(event, Event::Usage(_)))
}

impl Encoder for Writer {
    fn chunk(&mut self, chunk: &Chunk, out: &mut Vec<u8>) {
        for event in &chunk.events {
            if let Event::Usage(usage) = event {
                self.usage = Some(*usage);
            }
        }
        match &chunk.raw {
            Some(raw) if raw.dialect == Dialect::OpenAi => {
                self.note(&chunk.events);
                let alone = only_usage(&chunk.events);
                // We ask for the usage in any case; a caller who did not is not told it.
                if alone && !self.include_usage {
                    return;
                }
                self.usage_told |= alone;
                raw.write(out);
            }
            _ => {
                for event in &chunk.events {
                    self.event(event, out);
                }
            }
        }
    }

    fn served(&mut self, served: &ServedBy, out: &mut Vec<u8>) {
        self.begin(out);
        // A choice that adds nothing, because callers take it for granted that there is one.
        out.extend_from_slice(
            b",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":null}],\"backstop\":",
        );
        let told = view::served(served);
        out.extend_from_slice(told.to_string().as_bytes());
        out.extend_from_slice(b"}\n\n");
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error::render(error));
        out.extend_from_slice(b"\n\n");
    }
}
