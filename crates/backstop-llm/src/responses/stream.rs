//! Streams, read from a provider.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    item::{Kind, WireItem, citation},
    response::WireResponse,
    whole::picture,
};
use crate::{
    Error, Event, Json, Part, Usage,
    dialect::Decoder,
    json, lenient,
    openai::error,
    response::{push_text, push_thought},
    sse::SseEvent,
    wire_text::Text,
};

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow, rename = "type", default, deserialize_with = "lenient::scalar")]
    kind: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    output_index: u32,
    #[serde(default, deserialize_with = "lenient::scalar")]
    summary_index: u32,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    delta: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    arguments: Option<Text<'a>>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
}

/// Reads one stream. Items are told apart by their place, because some servers change their ids
/// on the way.
#[derive(Debug, Default)]
pub(super) struct Reader {
    started: bool,
    /// The places of the tool calls, in order.
    calls: Vec<u32>,
    /// The places of the items of which a piece has come.
    told: Vec<u32>,
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
        let wire: WireEvent<'_> = json::event(data)?;
        let name = String::from_utf8_lossy(&event.name);
        let kind = wire.kind.clone().map_or(name, |Text(kind)| kind);
        match &*kind {
            "error" => return Err(error::classify(None, data)),
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(&response(wire.response)?, out);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                return self.end(&wire, out);
            }
            kind => self.piece(kind, wire, out)?,
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.ended
    }
}

fn response(raw: Option<&RawValue>) -> Result<WireResponse<'_>, Error> {
    json::event(raw.map_or("{}", RawValue::get).as_bytes())
}

impl Reader {
    fn start(&mut self, response: &WireResponse<'_>, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start {
                id: response.id.clone(),
                model: response.model.clone(),
                created: response.created_at.map(|seconds| seconds as u64),
            });
        }
    }

    fn end(&mut self, wire: &WireEvent<'_>, out: &mut Vec<Event>) -> Result<(), Error> {
        let mut response = response(wire.response)?;
        if let Some(error) = response.failure() {
            return Err(error);
        }
        self.start(&response, out);
        out.extend(
            response
                .usage
                .take()
                .map(|usage| Event::Usage(Usage::from(usage))),
        );
        out.push(Event::Finish {
            choice: 0,
            reason: response.finish(!self.calls.is_empty()),
            stop_sequence: None,
        });
        out.push(Event::End);
        self.ended = true;
        Ok(())
    }

    fn piece(
        &mut self,
        kind: &str,
        wire: WireEvent<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let place = wire.output_index;
        let delta = wire
            .delta
            .map(|Text(text)| text.into_owned())
            .unwrap_or_default();
        let event = match kind {
            "response.output_text.delta" => Event::Text { choice: 0, delta },
            "response.refusal.delta" => Event::Refusal { choice: 0, delta },
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                Event::Thinking { choice: 0, delta }
            }
            // Summaries are paragraphs.
            "response.reasoning_summary_part.added" if wire.summary_index > 0 => Event::Thinking {
                choice: 0,
                delta: "\n\n".to_owned(),
            },
            "response.function_call_arguments.delta" => {
                let index = self.call(place);
                Event::ToolArguments {
                    choice: 0,
                    index,
                    delta,
                }
            }
            "response.function_call_arguments.done" if !self.told.contains(&place) => {
                let Some(Text(arguments)) = wire.arguments else {
                    return Ok(());
                };
                let index = self.call(place);
                Event::ToolArguments {
                    choice: 0,
                    index,
                    delta: arguments.into_owned(),
                }
            }
            "response.output_text.annotation.added" => match wire.annotation {
                Some(raw) => Event::Citation {
                    choice: 0,
                    citation: citation(&raw.into()),
                },
                None => return Ok(()),
            },
            "response.output_item.added" => return self.item(place, wire.item, false, out),
            "response.output_item.done" => return self.item(place, wire.item, true, out),
            _ => return Ok(()),
        };
        if !self.told.contains(&place) {
            self.told.push(place);
        }
        out.push(event);
        Ok(())
    }

    /// Which of the answer's calls the item at this place is.
    fn call(&mut self, place: u32) -> u32 {
        let known = self.calls.iter().position(|of| *of == place);
        let index = known.unwrap_or_else(|| {
            self.calls.push(place);
            self.calls.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// An item begins, or is done: then what it holds is told, unless its pieces have told it.
    fn item(
        &mut self,
        place: u32,
        raw: Option<&RawValue>,
        done: bool,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let Some(raw) = raw else { return Ok(()) };
        let json = Json::from(raw);
        let malformed = |e| Error::malformed("an item of the stream can't be read").with_source(e);
        let item = WireItem::read(&json).map_err(malformed)?;
        let told = self.told.contains(&place);
        match item.kind() {
            Kind::Call => {
                if !self.calls.contains(&place) {
                    let (id, name) = item.call();
                    let index = self.call(place);
                    out.push(Event::ToolCall {
                        choice: 0,
                        index,
                        id,
                        name,
                    });
                }
                if let Some(signature) = item.proof().filter(|_| done) {
                    let tool = Some(self.call(place));
                    out.push(Event::Signature {
                        choice: 0,
                        tool,
                        signature,
                    });
                }
                if done && !told && !item.arguments().is_empty() {
                    let index = self.call(place);
                    let delta = item.arguments().to_owned();
                    out.push(Event::ToolArguments {
                        choice: 0,
                        index,
                        delta,
                    });
                }
            }
            Kind::Reasoning if done => {
                if !told {
                    push_thought(0, item.thought(), out);
                }
                let (signature, redacted) = item.sealed();
                out.extend(signature.map(|signature| Event::Signature {
                    choice: 0,
                    tool: None,
                    signature,
                }));
                out.extend(redacted.map(|data| Event::RedactedThinking { choice: 0, data }));
            }
            Kind::Message if done && !told => {
                for part in item.into_parts(0, &json)? {
                    match part {
                        Part::Text { text, .. } => push_text(0, text, out),
                        Part::Refusal(delta) => out.push(Event::Refusal { choice: 0, delta }),
                        _ => {}
                    }
                }
            }
            Kind::Native if done => {
                let part = picture(&json).map(Box::new);
                out.extend(part.map(|part| Event::Part { choice: 0, part }));
            }
            _ => {}
        }
        Ok(())
    }
}
