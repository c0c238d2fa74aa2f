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

    /// The same limit, for another call.
    #[inline]
    pub(crate) const fn anew(self) -> Self {
        Self::new(self.due.anew(), self.limit)
    }

    /// Due no later than the deadlines that were set for the call; whether that leaves any time.
    // What is rare is kept out of here, so that what remains costs less than calling it would.
    #[inline(always)]
    pub(crate) fn begin(&mut self, deadline: Option<Deadline>) -> bool {
        if deadline.is_some() || Due::is_of_the_call() {
            let (tightened, is_in_time) = self.tightened(deadline);
            *self = tightened;
            return is_in_time;
        }
        !self.due.is_now()
    }

    /// The same for a caller who has waited for readiness before, too long maybe for `limit`.
    #[cold]
    #[inline(never)]
    pub(crate) fn after(
        waited: Result<Duration, Duration>,
        limits: Limits,
        limit: Limit,
    ) -> (Self, bool) {
        match waited {
            Ok(waited) => {
                let mut cut = Self::first(&limits);
                let is_in_time = cut.begin(limits.deadline);
                if !is_in_time {
                    cut.due = Due::within(waited);
                }
                (cut, is_in_time)
            }
            Err(waited) => (Self::new(Due::within(waited), limit), false),
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

    #[inline]
    const fn new(due: Due, limit: Limit) -> Self {
        Self { due, limit }
    }

    // By value, and with more than itself: what another function may write to is kept in memory.
    #[cold]
    #[inline(never)]
    fn tightened(mut self, asked: Option<Deadline>) -> (Self, bool) {
        let asked = asked.map_or(Due::NEVER, Due::by);
        for other in [asked, Due::of_the_call()] {
            if !other.is_never() && !self.due.is_before(other) {
                self = Self::new(other, Limit::Total);
            }
        }
        (self, !self.due.is_now())
    }
}
