//! Streams, read from a provider.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    block::{WireSource, citation},
    error,
    response::{WireUsage, read_stop},
};
use crate::{
    Dialect, Error, Event, Image, Json, Part, Signature,
    dialect::Decoder,
    json, lenient,
    response::{push_text, push_thought},
    sse::SseEvent,
    wire_text::Text,
};

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::scalar")]
    kind: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    index: u32,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    message: Option<WireMessage<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    content_block: Option<WireBlock<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    delta: Option<WireDelta<'a>>,
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    id: Text<'a>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    model: Text<'a>,
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireBlock<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::scalar")]
    kind: Text<'a>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    text: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    thinking: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    data: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireDelta<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    text: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    partial_json: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    thinking: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    stop_sequence: Option<Text<'a>>,
}

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    started: bool,
    usage: WireUsage,
    /// The tool calls begun: the block's index, and whether arguments came.
    calls: Vec<(u32, bool)>,
    stopped: bool,
    ended: bool,
}

impl Decoder for Reader {
    fn event(&mut self, event: &SseEvent, out: &mut Vec<Event>) -> Result<(), Error> {
        let Some(data) = &event.data else {
            out.push(Event::Ping);
            return Ok(());
        };
        if data.is_empty() || data.starts_with(b"[DONE]") {
            return Ok(());
        }
        let wire: WireEvent<'_> = json::event(data).map_err(|malformed| match &*event.name {
            b"error" => error::classify(None, data),
            _ => malformed,
        })?;
        let name = String::from_utf8_lossy(&event.name);
        let kind = wire.kind.clone().map_or(name, |Text(kind)| kind);
        match &*kind {
            "ping" => out.push(Event::Ping),
            "error" => return Err(error::classify(None, data)),
            "message_start" => self.start(wire, out),
            "content_block_start" => self.block(wire, out),
            "content_block_delta" => self.delta(wire, out),
            "content_block_stop" => self.stop(wire.index, out),
            "message_delta" => self.message_delta(wire, out),
            "message_stop" => {
                if !self.stopped {
                    let message = "the stream ended without a stop reason";
                    return Err(Error::malformed(message));
                }
                if !self.ended {
                    self.ended = true;
                    out.push(Event::End);
                }
            }
            // New kinds of events may come at any time and are to be ignored.
            _ => {}
        }
        Ok(())
    }

    fn reads_text_alone(&self) -> bool {
        true
    }

    fn is_whole(&self) -> bool {
        self.ended
    }
}

impl Reader {
    /// Broken proxies send a second beginning: the first one counts.
    fn start(&mut self, wire: WireEvent<'_>, out: &mut Vec<Event>) {
        let Some(message) = wire.message.filter(|_| !self.started) else {
            return;
        };
        self.started = true;
        out.push(Event::Start {
            id: message.id.0.into_owned(),
            model: message.model.0.into_owned(),
            created: None,
        });
        if let Some(usage) = message.usage {
            self.usage = usage;
            out.push(Event::Usage(usage.into()));
        }
    }

    fn block(&mut self, wire: WireEvent<'_>, out: &mut Vec<Event>) {
        let Some(block) = wire.content_block else {
            return;
        };
        let owned = |text: Option<Text<'_>>| text.map(|Text(t)| t.into_owned()).unwrap_or_default();
        match &*block.kind.0 {
            "text" => push_text(0, owned(block.text), out),
            "thinking" => push_thought(0, owned(block.thinking), out),
            "redacted_thinking" => out.push(Event::RedactedThinking {
                choice: 0,
                data: Signature::from_wire(Dialect::Anthropic, &owned(block.data)),
            }),
            "image" => {
                let source = block.source.map(RawValue::get).unwrap_or_default();
                let source = serde_json::from_str(source).ok().and_then(WireSource::read);
                out.extend(source.map(|source| Event::Part {
                    choice: 0,
                    part: Box::new(Part::Image(Image {
                        source,
                        detail: None,
                    })),
                }));
            }
            "tool_use" => {
                let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                // Some servers give the whole input at once.
                let input = block.input.map(RawValue::get).unwrap_or_default();
                let whole = !matches!(input, "" | "{}" | "null");
                self.calls.push((wire.index, whole));
                out.push(Event::ToolCall {
                    choice: 0,
                    index,
                    id: owned(block.id),
                    name: owned(block.name),
                });
                if whole {
                    out.push(Event::ToolArguments {
                        choice: 0,
                        index,
                        delta: input.to_owned(),
                    });
                }
            }
            _ => {}
        }
    }

    fn delta(&mut self, wire: WireEvent<'_>, out: &mut Vec<Event>) {
        let Some(delta) = wire.delta else {
            return;
        };
        if let Some(Text(text)) = delta.text {
            push_text(0, text.into_owned(), out);
        }
        if let Some(Text(thought)) = delta.thinking {
            push_thought(0, thought.into_owned(), out);
        }
        if let Some(Text(signature)) = delta.signature {
            out.push(Event::Signature {
                choice: 0,
                tool: None,
                signature: Signature::from_wire(Dialect::Anthropic, &signature),
            });
        }
        if let Some(raw) = delta.citation {
            out.push(Event::Citation {
                choice: 0,
                citation: citation(Json::from(raw)),
            });
        }
        let Some(Text(json)) = delta.partial_json.filter(|Text(json)| !json.is_empty()) else {
            return;
        };
        // The input of a tool that the provider runs itself is of no other's concern.
        let call = self
            .calls
            .iter()
            .rposition(|(block, _)| *block == wire.index);
        if let Some(call) = call {
            self.calls[call].1 = true;
            out.push(Event::ToolArguments {
                choice: 0,
                index: u32::try_from(call).unwrap_or(u32::MAX),
                delta: json.into_owned(),
            });
        }
    }

    /// A tool without arguments gets no delta, but its arguments are an empty object all the same.
    fn stop(&mut self, block: u32, out: &mut Vec<Event>) {
        let call = self.calls.iter().rposition(|(of, _)| *of == block);
        if let Some(call) = call.filter(|call| !self.calls[*call].1) {
            self.calls[call].1 = true;
            out.push(Event::ToolArguments {
                choice: 0,
                index: u32::try_from(call).unwrap_or(u32::MAX),
                delta: "{}".to_owned(),
            });
        }
    }

    fn message_delta(&mut self, wire: WireEvent<'_>, out: &mut Vec<Event>) {
        if let Some(usage) = wire.usage {
            self.usage = usage.over(self.usage);
            out.push(Event::Usage(self.usage.into()));
        }
        let Some(delta) = wire.delta else {
            return;
        };
        if let Some(Text(word)) = delta.stop_reason.filter(|_| !self.stopped) {
            self.stopped = true;
            out.push(Event::Finish {
                choice: 0,
                reason: read_stop(&word),
                stop_sequence: delta.stop_sequence.map(|Text(text)| text.into_owned()),
            });
        }
    }
}
