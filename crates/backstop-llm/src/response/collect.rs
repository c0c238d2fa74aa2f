//! A streamed answer put together again.

use super::{Choice, Completion, Event, FinishReason, Usage};
use crate::{Part, Thinking, ToolCall};

/// Puts the events of a stream together to a [`Completion`].
#[derive(Clone, Debug, Default)]
pub struct Collector {
    completion: Completion,
    /// For each choice, where each of its tool calls is among the parts.
    calls: Vec<(u32, u32, usize)>,
    finished: bool,
}

impl Collector {
    /// With nothing collected.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Start { id, model, created } => {
                self.completion.id = id;
                self.completion.model = model;
                self.completion.created = created;
            }
            Event::Text { choice, delta } => match self.choice(choice).content.last_mut() {
                Some(Part::Text { text, .. }) => text.push_str(&delta),
                _ => self.add(choice, Part::text(delta)),
            },
            Event::Refusal { choice, delta } => match self.choice(choice).content.last_mut() {
                Some(Part::Refusal(text)) => text.push_str(&delta),
                _ => self.add(choice, Part::Refusal(delta)),
            },
            Event::Thinking { choice, delta } => {
                // A thought that is signed is complete, so another one begins.
                self.thinking(choice, |t| t.redacted.is_none() && t.signature.is_none())
                    .text
                    .push_str(&delta);
            }
            Event::Signature {
                choice,
                tool: None,
                signature,
            } => {
                let place = &mut self.thinking(choice, |t| t.redacted.is_none()).signature;
                match place {
                    Some(begun) => begun.value.push_str(&signature.value),
                    None => *place = Some(signature),
                }
            }
            Event::Signature {
                choice,
                tool: Some(index),
                signature,
            } => {
                if let Some(call) = self.call(choice, index) {
                    call.signature = Some(signature);
                }
            }
            Event::RedactedThinking { choice, data } => self.add(
                choice,
                Part::Thinking(Thinking {
                    redacted: Some(data),
                    ..Thinking::default()
                }),
            ),
            Event::Citation { choice, citation } => {
                match self.choice(choice).content.last_mut() {
                    Some(Part::Text { citations, .. }) => citations.push(citation),
                    // The source may be named before the first word of the text.
                    _ => self.add(
                        choice,
                        Part::Text {
                            text: String::new(),
                            citations: vec![citation],
                        },
                    ),
                }
            }
            Event::ToolCall {
                choice,
                index,
                id,
                name,
            } => {
                let place = self.choice(choice).content.len();
                self.calls.push((choice, index, place));
                self.add(choice, Part::ToolCall(ToolCall::new(id, name, "")));
            }
            Event::ToolArguments {
                choice,
                index,
                delta,
            } => {
                if let Some(call) = self.call(choice, index) {
                    call.arguments.push_str(&delta);
                }
            }
            Event::Finish {
                choice,
                reason,
                stop_sequence,
            } => {
                let choice = self.choice(choice);
                choice.finish = reason;
                choice.stop_sequence = stop_sequence;
                self.finished = true;
            }
            Event::Part { choice, part } => self.add(choice, *part),
            Event::Usage(usage) => self.completion.usage = Some(usage),
            Event::Ping | Event::End => {}
        }
    }

    /// What has been said of the first choice up to now, as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.completion.text()
    }

    /// The provider's id for it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.completion.id
    }

    /// What it has cost up to now, where the provider said so.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.completion.usage
    }

    /// Whether any choice has ended.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// The whole.
    #[must_use]
    pub fn finish(mut self) -> Completion {
        self.completion.choices.sort_by_key(|choice| choice.index);
        self.completion
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let choices = &mut self.completion.choices;
        let place = choices.iter().position(|choice| choice.index == index);
        let place = place.unwrap_or_else(|| {
            choices.push(Choice::new(index, FinishReason::Stop));
            choices.len() - 1
        });
        &mut choices[place]
    }

    fn add(&mut self, choice: u32, part: Part) {
        self.choice(choice).content.push(part);
    }

    /// The thought that is going on, or else a new one.
    fn thinking(&mut self, choice: u32, goes_on: impl Fn(&Thinking) -> bool) -> &mut Thinking {
        let content = &mut self.choice(choice).content;
        if !matches!(content.last(), Some(Part::Thinking(last)) if goes_on(last)) {
            content.push(Part::Thinking(Thinking::default()));
        }
        match content.last_mut() {
            Some(Part::Thinking(thinking)) => thinking,
            _ => unreachable!("the last part was just made a thought"),
        }
    }

    fn call(&mut self, choice: u32, index: u32) -> Option<&mut ToolCall> {
        let (.., place) = *self
            .calls
            .iter()
            .find(|(c, i, _)| (*c, *i) == (choice, index))?;
        match self.choice(choice).content.get_mut(place) {
            Some(Part::ToolCall(call)) => Some(call),
            _ => None,
        }
    }
}

impl FromIterator<Event> for Completion {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let mut collector = Collector::new();
        events.into_iter().for_each(|event| collector.push(event));
        collector.finish()
    }
}
