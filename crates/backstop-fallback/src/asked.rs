use std::time::Duration;

use backstop_core::{
    Attempt, Fault, Name,
    context::{self, Mark},
};
use tokio::time::Instant;

use crate::policy::OUTRUN;

/// A candidate that is being asked: since when, and who records it should it fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    since: Option<Instant>,
    /// Whether a layer further in records its failures.
    recorded: bool,
}

impl Asked {
    /// Asked now. The clock is not read for it: that would be the dearest part of a call that
    /// succeeds.
    #[inline]
    pub(crate) const fn now() -> Self {
        Self::since(None)
    }

    /// Asked at an instant that may be known already.
    #[inline]
    pub(crate) const fn since(since: Option<Instant>) -> Self {
        Self {
            since,
            recorded: false,
        }
    }

    /// The candidate doesn't answer at once, so that how long it takes is worth knowing.
    #[inline]
    pub(crate) fn pending(&mut self) {
        self.since.get_or_insert_with(context::paused_at);
    }

    /// How long it has been asked.
    pub(crate) fn took(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| {
            Instant::now().saturating_duration_since(since)
        })
    }

    /// It failed: recorded on the trail, unless a layer further in has done so.
    pub(crate) fn failed(&self, name: &Name, fault: Fault) {
        if self.recorded {
            return;
        }
        let attempt = Attempt::new(1, fault).took(self.took());
        context::record(attempt.on(name.clone()));
    }

    /// It was given up while another answered, whatever of it has been recorded before.
    pub(crate) fn given_up(&self, name: &Name) {
        let attempt = Attempt::new(1, OUTRUN).took(self.took());
        context::record(attempt.on(name.clone()));
    }

    /// What was recorded since `mark`, while it was polled, is its own: two that are asked at once
    /// share one trail.
    #[inline]
    pub(crate) fn own<'a>(&mut self, mark: Mark, name: impl FnOnce() -> &'a Name) {
        if context::mark() != mark {
            self.recorded = true;
            context::name_since(mark, name());
        }
    }
}

/// A candidate was passed over without being called.
pub(crate) fn passed_over(name: &Name, fault: Fault) -> Attempt {
    Attempt::passed_over(fault).on(name.clone())
}
