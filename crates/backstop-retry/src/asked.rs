use std::time::Duration;

use backstop_core::{
    Attempt, Fault, FaultKind,
    context::{self, Mark},
};
use tokio::time::Instant;

/// An attempt that is under way: what its record will need should it fail.
#[derive(Debug)]
pub(crate) struct Asked {
    since: Option<Instant>,
}

impl Asked {
    /// The attempt begins. The clock is not read for it: that would be the dearest part of a call
    /// that succeeds.
    #[inline]
    pub(crate) const fn now() -> Self {
        Self { since: None }
    }

    /// It doesn't end at once, so that how long it takes is worth knowing.
    #[inline]
    pub(crate) fn pending(&mut self) {
        self.since.get_or_insert_with(context::paused_at);
    }

    /// It failed, the attempt `number` after a wait: recorded on the trail, unless a layer further
    /// in has done so in this poll, which began at `mark`. What came on the trail before that is
    /// maybe of another: calls that are made at once share one trail.
    pub(crate) fn failed(
        &self,
        mark: Mark,
        number: u32,
        wait: Duration,
        fault: Fault,
        now: Instant,
    ) {
        let took = self
            .since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let attempt = match fault.kind() {
            // Nobody was asked.
            FaultKind::Refused => Attempt::passed_over(fault),
            _ => Attempt::new(number, fault).took(took),
        };
        context::record_since(mark, attempt.waited(wait));
    }
}
