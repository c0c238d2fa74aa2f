//! The limit on the time until the response.

use std::time::Duration;

use backstop_core::{Deadline, Elapsed, Limit, context::Due};
use tokio::time::Instant;

use crate::Limits;

/// The limit that cuts the wait for the response short: whichever is due first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) due: Due,
    pub(crate) limit: Limit,
}

impl Cut {
    /// Whichever is due first of these limits.
    #[inline]
    pub(crate) fn first(limits: &Limits) -> Self {
        let due = |limit: Option<Duration>| limit.map_or(Due::NEVER, Due::within);
        let (response, total) = (due(limits.response), due(limits.total));
        if response.is_before(total) {
            Self::new(response, Limit::Response)
        } else {
            Self::new(total, Limit::Total)
        }
    }

    /// Due no later than the deadlines that were set for the call; whether that leaves any time.
    // What is rare is kept out of here, so that what remains costs less than calling it would.
    #[inline(always)]
    pub(crate) fn begin(&mut self, deadline: Option<Deadline>) -> bool {
        if deadline.is_some() || Due::is_of_the_call() {
            self.tighten(deadline);
        }
        !self.due.is_now()
    }

    /// The same for a caller who has waited for readiness before, too long maybe for `limit`.
    #[cold]
    #[inline(never)]
    pub(crate) fn after(
        &mut self,
        waited: Result<Duration, Duration>,
        limits: Limits,
        limit: Limit,
    ) -> bool {
        match waited {
            Ok(waited) => {
                *self = Self::first(&limits);
                let is_in_time = self.begin(limits.deadline);
                if !is_in_time {
                    self.due = Due::within(waited);
                }
                is_in_time
            }
            Err(waited) => {
                *self = Self::new(Due::within(waited), limit);
                false
            }
        }
    }

    /// The limit has run out.
    pub(crate) fn elapsed(self) -> Elapsed {
        let late =
            |deadline: Deadline| Instant::now().saturating_duration_since(deadline.instant());
        let late = self.due.deadline().map_or(Duration::ZERO, late);
        let after = self.due.limit().saturating_add(late);
        Elapsed::new(self.limit, after)
    }

    const fn new(due: Due, limit: Limit) -> Self {
        Self { due, limit }
    }

    #[cold]
    #[inline(never)]
    fn tighten(&mut self, asked: Option<Deadline>) {
        let asked = asked.map_or(Due::NEVER, Due::by);
        for other in [asked, Due::of_the_call()] {
            if !other.is_never() && !self.due.is_before(other) {
                *self = Self::new(other, Limit::Total);
            }
        }
    }
}
