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
        let configured = if request.is_streamed() {
            self.first_token
        } else {
            self.answer
        };
        let wished = request.extensions().get::<Wishes>();
        let wished = wished.and_then(|it| it.first_token);
        limits.response = Some(wished.map_or(configured, |wished| wished.min(configured)));
        if self.at_once {
            limits.first_item = limits.response;
        }
        limits
    }
}

/// The limit of a whole call.
pub(super) fn total(request: &ChatRequest, mut limits: Limits) -> Limits {
    let wished = request.extensions().get::<Wishes>().and_then(|it| it.total);
    if let (Some(wished), Some(total)) = (wished, limits.total) {
        limits.total = Some(wished.min(total));
    }
    limits
}
