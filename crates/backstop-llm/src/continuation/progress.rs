//! How far an answer has come, and whether it can be gone on with from there.

use crate::{
    Chat, ChatRequest, Dialect, Error, Event, Reasoning, ResponseFormat, Resume, Usage, abilities,
};

/// Whether the answer to a request may be continued at all.
pub(super) fn may_continue(request: &ChatRequest) -> bool {
    let chat = request.chat();
    request.is_streamed()
        && !request.is_continuation_refused()
        && chat.format == ResponseFormat::Text
        && chat.sampling.n.is_none_or(|n| n <= 1)
        && chat.sampling.logprobs != Some(true)
        && chat.reasoning.as_ref().is_none_or(Reasoning::is_off)
}

/// How far an answer has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// What has been said.
    pub(super) text: String,
    max_text: usize,
    /// Whether all of it was text.
    plain: bool,
    finished: bool,
    /// What earlier parts of the answer have cost.
    before: Usage,
    /// What the present part has cost up to now.
    now: Option<Usage>,
    /// Where the present part begins in the text.
    part: usize,
}

impl Progress {
    pub(super) const fn new(max_text: usize) -> Self {
        Self {
            text: String::new(),
            max_text,
            plain: true,
            finished: false,
            before: Usage::new(0, 0),
            now: None,
            part: 0,
        }
    }

    /// Takes note of an event that is passed on. The usage in it becomes that of all parts.
    pub(super) fn note(&mut self, event: &mut Event) {
        match event {
            Event::Text { choice: 0, delta } => {
                if self.plain && self.text.len() + delta.len() <= self.max_text {
                    self.text.push_str(delta);
                } else {
                    self.give_up();
                }
            }
            Event::Finish { .. } => self.finished = true,
            Event::Usage(usage) => {
                self.now = Some(*usage);
                *usage = self.before.plus(*usage);
            }
            Event::Start { .. } | Event::Ping | Event::End | Event::Citation { .. } => {}
            _ => self.give_up(),
        }
    }

    /// What has come can't be continued, so nothing of it need be kept.
    fn give_up(&mut self) {
        self.plain = false;
        self.text = String::new();
    }

    /// What it has cost, estimated where the provider has not said so.
    pub(super) fn usage(&self, chat: &Chat) -> Usage {
        let said = self.text.get(self.part..).unwrap_or_default();
        let output = (said.len() as u64).div_ceil(4);
        let part = match self.now {
            // The figure told at the beginning of a stream is a mere placeholder.
            Some(mut usage) => {
                usage.output = usage.output.max(output);
                usage
            }
            None => {
                let dialect = chat.extra_dialect.unwrap_or(Dialect::OpenAi);
                Usage::new(abilities::estimate_tokens(chat, dialect), output)
            }
        };
        self.before.plus(part)
    }

    /// How to go on from here, where that can be done.
    pub(super) fn resume(&self, chat: &Chat, error: &Error) -> Option<Resume> {
        use backstop_core::FaultKind::{Interrupted, TimedOut};
        let broke = matches!(error.fault().kind(), Interrupted | TimedOut);
        if !broke || !self.plain || self.finished || self.text.trim().is_empty() {
            return None;
        }
        let said = (self.text.len() as u64).div_ceil(4);
        Some(Resume {
            partial: self.text.clone(),
            // A few tokens more than are left are better than a sentence cut short by an estimate.
            max_tokens: chat
                .max_tokens
                .map(|most| most.saturating_sub(said).max(16)),
        })
    }

    /// Another candidate goes on.
    pub(super) fn go_on(&mut self, chat: &Chat) {
        self.before = self.usage(chat);
        self.now = None;
        self.part = self.text.len();
    }
}
