//! What is known of one call.

use std::{sync::Arc, time::Duration};

use backstop_core::{Fault, Name, ServedBy, Trail};
use backstop_llm::{Dialect, Usage};
use tokio::time::Instant;
use tracing::Span;

use crate::{callers::Caller, given_up, parts::Parts, trace};

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// With the end of the answer.
    Completed,
    /// With an error, before the answer or in the middle of it.
    Failed(Fault),
    /// The caller left before.
    Left,
}

impl Outcome {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Completed => "ok",
            Self::Failed(fault) => fault.kind().label(),
            Self::Left => "caller_left",
        }
    }
}

/// What is known of one call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Name,
    pub(crate) front: Dialect,
    pub(crate) caller: Option<Arc<Caller>>,
    /// The model's name in the config.
    pub(crate) model: Name,
    pub(crate) streamed: bool,
    pub(crate) started: Instant,
    /// How long it took, once it is over.
    pub(crate) taken: Duration,
    /// When the answer began.
    pub(crate) answered: Option<Duration>,
    /// What the gateway itself took, before it asked and after.
    pub(crate) overhead: Option<Duration>,
    pub(crate) status: Option<u16>,
    pub(crate) served: Option<ServedBy>,
    pub(crate) trail: Trail,
    /// Of the whole answer, whoever gave it.
    pub(crate) usage: Option<Usage>,
    pub(crate) parts: Parts,
    /// The tokens of the request, by an estimate.
    pub(crate) estimated_input: u64,
    pub(crate) outcome: Outcome,
    pub(crate) span: Span,
}

impl Call {
    pub(crate) fn caller(&self) -> String {
        match &self.caller {
            Some(caller) => caller.name.to_string(),
            None => String::new(),
        }
    }

    /// How long who `answered` so long after the call began took for its first content: the
    /// attempts that failed before it, and the waits, are not its doing.
    pub(crate) fn first_token(&self, answered: Duration) -> Duration {
        // One that was given up went on at the same time.
        let attempts = self.trail.attempts().iter();
        let attempts = attempts.filter(|it| given_up::word(it.fault).is_none());
        let before = attempts.fold(Duration::ZERO, |sum, it| {
            sum.saturating_add(it.wait).saturating_add(it.duration)
        });
        answered.saturating_sub(before)
    }

    /// What who gave the last part of the answer used. What a provider tells at the end of a stream
    /// is estimated where that has not come.
    pub(crate) fn used_last(&self) -> Usage {
        match (self.outcome, self.usage) {
            (Outcome::Completed, Some(whole)) => self.parts.rest(whole),
            (_, told) => self.parts.present(told, self.estimated_input),
        }
    }

    /// How many tokens the whole answer used, to whoever is limited in them: who leaves before the
    /// end has used those that came.
    pub(crate) fn tokens_used(&self) -> u64 {
        match (self.outcome, self.usage, self.answered) {
            (Outcome::Completed, Some(whole), _) => whole.total(),
            (_, _, Some(_)) => {
                let broken = self.parts.broken().iter().map(|(_, part)| part.total());
                broken.fold(self.used_last().total(), u64::saturating_add)
            }
            (_, told, None) => told.map_or(0, |whole| whole.total()),
        }
    }

    /// Notes on the span which model answers.
    pub(crate) fn note_model(&self, model: &str) {
        self.span.record("gen_ai.response.model", model);
    }

    /// Notes on the span how the call ended, and ends it.
    pub(crate) fn end_span(&mut self) {
        let span = std::mem::replace(&mut self.span, Span::none());
        if span.is_disabled() {
            return;
        }
        if let Some(usage) = &self.usage {
            trace::usage(&span, usage);
        }
        if let Some(status) = self.status {
            span.record("http.response.status_code", status);
        }
        if let Some(served) = &self.served {
            span.record("backstop.served_by", tracing::field::display(served));
        }
        if let (true, Some(first)) = (self.streamed, self.answered) {
            let first = first.as_secs_f64();
            span.record("gen_ai.response.time_to_first_chunk", first);
        }
        if !matches!(self.outcome, Outcome::Completed) {
            span.record("error.type", self.outcome.label());
        }
    }

    /// The status that the caller saw, in one of a few classes.
    pub(crate) const fn status_label(&self) -> &'static str {
        match self.status {
            Some(200..=299) => "2xx",
            Some(429) => "429",
            Some(400..=499) => "4xx",
            Some(500..=599) => "5xx",
            _ => "none",
        }
    }
}
