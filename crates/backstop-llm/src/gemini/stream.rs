//! Streams, read from a provider.

use super::{
    part::{WirePart, other},
    response::{WireAnswer, WireCandidate, read_finish},
};
use crate::{
    Dialect, Error, Event, Json, Signature, Usage,
    dialect::Decoder,
    response::{push_text, push_thought},
    sse::SseEvent,
};

/// Reads one stream. It has no end marker: it is whole when it closes after a finish reason.
#[derive(Debug, Default)]
pub(super) struct Reader {
    id: Option<String>,
    /// How many tool calls each choice has made.
    calls: Vec<u32>,
    finished: bool,
}

impl Decoder for Reader {
    fn event(&mut self, event: &SseEvent, out: &mut Vec<Event>) -> Result<(), Error> {
        let Some(data) = &event.data else {
            out.push(Event::Ping);
            return Ok(());
        };
        if data.is_empty() {
            return Ok(());
        }
        self.answer(WireAnswer::read(data)?, out)
    }

    fn is_whole(&self) -> bool {
        self.finished
    }
}

impl Reader {
    /// One piece of the answer.
    pub(super) fn answer(
        &mut self,
        answer: WireAnswer<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                let id = answer.response_id;
                self.id = Some(id.clone());
                out.push(Event::Start {
                    id: id.clone(),
                    model: answer.model_version,
                    created: None,
                });
                id
            }
        };
        for candidate in answer.candidates.unwrap_or_default() {
            self.candidate(candidate, &id, out)?;
        }
        out.extend(
            answer
                .usage_metadata
                .map(|usage| Event::Usage(Usage::from(usage))),
        );
        Ok(())
    }

    fn candidate(
        &mut self,
        candidate: WireCandidate,
        id: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let choice = candidate.index;
        for part in &candidate.content.parts {
            self.part(choice, part, id, out);
        }
        for citation in candidate.grounding_metadata.citations() {
            out.push(Event::Citation { choice, citation });
        }
        if let Some(word) = candidate.finish_reason {
            let reason = read_finish(&word, self.calls_of(choice) > 0)?;
            self.finished = true;
            out.push(Event::Finish {
                choice,
                reason,
                stop_sequence: None,
            });
        }
        Ok(())
    }

    fn calls_of(&self, choice: u32) -> u32 {
        self.calls.get(choice as usize).copied().unwrap_or_default()
    }

    fn part(&mut self, choice: u32, json: &Json, id: &str, out: &mut Vec<Event>) {
        let wire: WirePart = json.read().unwrap_or_default();
        let mut tool = None;
        if let Some(call) = wire.function_call {
            let index = self.calls_of(choice);
            // A provider numbers its answers from 0 on; a number beyond reason is not kept.
            if let Ok(place @ 0..64) = usize::try_from(choice) {
                self.calls.resize(self.calls.len().max(place + 1), 0);
                self.calls[place] = index.saturating_add(1);
            }
            tool = Some(index);
            out.push(Event::ToolCall {
                choice,
                index,
                id: call.id(id, index as usize),
                name: call.name.clone(),
            });
            out.push(Event::ToolArguments {
                choice,
                index,
                delta: call.arguments(),
            });
        }
        let other = match (&wire.text, tool) {
            (None, None) => other(wire.inline_data, wire.thought_signature.is_some(), json),
            _ => None,
        };
        out.extend(other.map(Box::new).map(|part| Event::Part { choice, part }));
        let delta = wire.text.unwrap_or_default();
        if wire.thought {
            push_thought(choice, delta, out);
        } else {
            push_text(choice, delta, out);
        }
        if let Some(signature) = wire.thought_signature {
            out.push(Event::Signature {
                choice,
                tool,
                signature: Signature::new(Dialect::Gemini, signature),
            });
        }
    }
}
