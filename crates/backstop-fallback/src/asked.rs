use std::time::Duration;

use backstop_core::{
    Attempt, Fault, Name,
    context::{self, Mark},
};
use tokio::time::Instant;

/// A candidate that is being asked: where the trail stood then, and since when, for the record
/// should it fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    mark: Mark,
    since: Option<Instant>,
}

impl Asked {
    /// Asked now. The clock is not read for it: that would be the dearest part of a call that
    /// succeeds.
    #[inline]
    pub(crate) fn now() -> Self {
        Self {
            mark: context::mark(),
            since: context::shared_now(),
        }
    }

    /// Asked at an instant that is known already.
    #[inline]
    pub(crate) fn at(now: Instant) -> Self {
        Self {
            mark: context::mark(),
            since: Some(now),
        }
    }

    /// The candidate doesn't answer at once, so that how long it takes is worth knowing.
    #[inline]
    pub(crate) fn pending(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// How long it has been asked.
    pub(crate) fn took(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| {
            Instant::now().saturating_duration_since(since)
        })
    }

    /// It failed: recorded on the trail, unless a layer further in has done so.
    pub(crate) fn failed(&self, name: &Name, fault: Fault) {
        context::record_since(self.mark, Attempt::new(1, fault).took(self.took()));
        context::name_since(self.mark, name);
    }
}

/// A candidate was passed over without being called.
pub(crate) fn passed_over(name: &Name, fault: Fault) {
    context::record(Attempt::passed_over(fault).on(name.clone()));
}
