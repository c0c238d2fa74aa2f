//! How long a call and each attempt of it may take, by what is configured and what is wished.

use std::time::Duration;

use backstop_llm::{ChatRequest, Commit};
use backstop_timeout::Limits;

use crate::{config::Timeouts, routing::Wishes};

/// The limits of one attempt: on the first content of a stream, or on the whole of a plain answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    first_token: Duration,
    answer: Duration,
    pub(super) idle: Duration,
    /// Whether a stream is passed on before its first content.
    at_once: bool,
}

impl Attempt {
    pub(super) fn new(timeouts: &Timeouts, commit: Commit) -> Self {
        Self {
            first_token: timeouts.first_token,
            answer: timeouts.answer,
            idle: timeouts.idle,
            at_once: commit == Commit::AtOnce,
        }
    }

    pub(super) fn of(&self, request: &ChatRequest, mut limits: Limits) -> Limits {
        limits.response = Some(if request.is_streamed() {
            self.first_token
        } else {
            self.answer
        });
        self.on_contents(limits)
    }

    /// What the caller wishes them to be, where that is shorter than what is configured. That such
    /// a limit runs out says nothing of the candidate.
    pub(super) fn wished(&self, request: &ChatRequest, mut limits: Limits) -> Limits {
        let wished = request.extensions().get::<Wishes>();
        limits.response = wished.and_then(|it| it.first_token);
        self.on_contents(limits)
    }

    /// Where a stream is passed on before its first content, the limit goes on until that comes.
    const fn on_contents(&self, mut limits: Limits) -> Limits {
        if self.at_once {
            limits.first_item = limits.response;
        }
        limits
    }
}

/// The limit of a whole call. What is wished is shorter than what is configured.
pub(super) fn total(request: &ChatRequest, mut limits: Limits) -> Limits {
    let wished = request.extensions().get::<Wishes>().and_then(|it| it.total);
    limits.total = wished.or(limits.total);
    limits
}
