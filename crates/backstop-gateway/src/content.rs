//! What is asked and answered, in the log: only where the operator has switched that on.

use backstop_core::Name;
use backstop_llm::{Collector, Completion, Event};
use tracing::info;

/// Logs a request as it came.
pub(crate) fn asked(id: &Name, body: &[u8]) {
    let body = String::from_utf8_lossy(body);
    info!(target: "backstop::content", request_id = &**id, asked = &*body);
}

/// Logs the answer to one request when it is over, as far as it came.
pub(crate) struct Content {
    id: Name,
    answer: Collector,
}

impl Content {
    pub(crate) fn new(id: Name) -> Self {
        Self {
            id,
            answer: Collector::new(),
        }
    }

    /// A piece of it came.
    pub(crate) fn push(&mut self, event: &Event) {
        self.answer.push(event.clone());
    }

    /// It has come to its end, or there is no more of it.
    pub(crate) fn finish(self) {
        answered(&self.id, &self.answer.finish());
    }
}

/// Logs an answer that came at once.
pub(crate) fn answered(id: &Name, answer: &Completion) {
    for choice in &answer.choices {
        info!(target: "backstop::content", request_id = &**id, answered = ?choice.content);
    }
}
