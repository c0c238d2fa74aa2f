//! The limit on the time until the response.

use std::time::Duration;

use backstop_core::{
    Deadline, Elapsed, Limit,
    context::{self, Due},
};
use tokio::time::Instant;

use crate::Limits;

/// The limit that cuts the wait for the response short: whichever is due first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) due: Due,
    pub(crate) limit: Limit,
}

impl Cut {
    /// The first of the limits of a request and of those set further out.
    #[inline]
    pub(crate) fn first(limits: &Limits) -> Option<Self> {
        let own = match (limits.response, limits.total) {
            (Some(response), total) if total.is_none_or(|total| response < total) => {
                Some(Self::within(response, Limit::Response))
            }
            (_, total) => total.map(|total| Self::within(total, Limit::Total)),
        };
        let asked = limits.deadline.map(Due::by);
        Self::tightened(Self::tightened(own, asked), Due::of_the_call())
    }

    /// The limit has run out.
    pub(crate) fn elapsed(self) -> Elapsed {
        let late =
            |deadline: Deadline| Instant::now().saturating_duration_since(deadline.instant());
        let late = self.due.deadline().map_or(Duration::ZERO, late);
        let after = self.due.limit().saturating_add(late);
        Elapsed::new(self.limit, after).with_trail(context::trail())
    }

    /// This limit, whose time has not begun yet.
    #[inline]
    pub(crate) const fn within(limit: Duration, name: Limit) -> Self {
        Self {
            due: Due::within(limit),
            limit: name,
        }
    }

    #[inline]
    fn tightened(own: Option<Self>, other: Option<Due>) -> Option<Self> {
        match (own, other) {
            (own, None) => own,
            (Some(own), Some(other)) if own.due.is_before(other) => Some(own),
            (_, Some(due)) => Some(Self {
                due,
                limit: Limit::Total,
            }),
        }
    }
}
