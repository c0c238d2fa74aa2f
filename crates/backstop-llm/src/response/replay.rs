//! A whole answer told piece by piece.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{ChatStream, Chunk, Completion, Event};
use crate::{Error, Part};

impl ChatStream {
    /// A whole answer as a stream, for a caller who asked for one: a cached or a static reply.
    #[must_use]
    pub fn of(completion: Completion) -> Self {
        let events = events(completion);
        Self::new(Replay {
            chunks: events.into_iter().map(|e| Chunk::new(vec![e])).collect(),
        })
    }
}

/// The events that the answer would have come in.
fn events(completion: Completion) -> Vec<Event> {
    let mut events = vec![Event::Start {
        id: completion.id,
        model: completion.model,
        created: completion.created,
    }];
    for choice in completion.choices {
        let mut calls = 0;
        for part in choice.content {
            part_events(choice.index, part, &mut calls, &mut events);
        }
        events.push(Event::Finish {
            choice: choice.index,
            reason: choice.finish,
            stop_sequence: choice.stop_sequence,
        });
    }
    events.extend(completion.usage.map(Event::Usage));
    events.push(Event::End);
    events
}

fn part_events(choice: u32, part: Part, calls: &mut u32, events: &mut Vec<Event>) {
    match part {
        Part::Text { text, citations } => {
            events.push(Event::Text {
                choice,
                delta: text,
            });
            let told = citations.into_iter();
            events.extend(told.map(|citation| Event::Citation { choice, citation }));
        }
        Part::Refusal(delta) => events.push(Event::Refusal { choice, delta }),
        Part::Thinking(thinking) => {
            if let Some(data) = thinking.redacted {
                events.push(Event::RedactedThinking { choice, data });
                return;
            }
            events.push(Event::Thinking {
                choice,
                delta: thinking.text,
            });
            events.extend(thinking.signature.map(|signature| Event::Signature {
                choice,
                tool: None,
                signature,
            }));
        }
        Part::ToolCall(call) => {
            let index = *calls;
            *calls += 1;
            events.push(Event::ToolCall {
                choice,
                index,
                id: call.id,
                name: call.name,
            });
            events.push(Event::ToolArguments {
                choice,
                index,
                delta: call.arguments,
            });
            events.extend(call.signature.map(|signature| Event::Signature {
                choice,
                tool: Some(index),
                signature,
            }));
        }
        part => {
            let part = Box::new(part);
            events.push(Event::Part { choice, part });
        }
    }
}

/// Chunks one after the other.
struct Replay {
    chunks: VecDeque<Chunk>,
}

impl Stream for Replay {
    type Item = Result<Chunk, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.chunks.pop_front().map(Ok))
    }
}
