//! When the call must be over.

use std::{marker::PhantomData, time::Duration};

use tokio::time::Instant;

use super::{
    now, paused_at,
    slots::{Slots, slots},
};
use crate::{Deadline, span::Span};

/// The instant by which the current call must be over, where a layer further out set one.
#[inline]
#[must_use]
pub fn deadline() -> Option<Deadline> {
    deadline_from(now)
}

/// The [`deadline`], for a layer that has found a call pending. Where its time begins by that, the
/// clock is read by way of [`paused_at`], so that a layer further out need not read it again.
#[inline]
#[must_use]
pub fn deadline_of_paused() -> Option<Deadline> {
    deadline_from(paused_at)
}

#[inline]
fn deadline_from(now: fn() -> Instant) -> Option<Deadline> {
    slots(|slots| match slots.limit.get() {
        Span::NONE => None,
        PLACED => slots.deadline.get(),
        limit => Some(place(slots, limit, now())),
    })
}

/// Puts a limit on the clock, because someone asks for the deadline.
#[cold]
fn place(slots: &Slots, limit: Span, now: Instant) -> Deadline {
    let deadline = Deadline::within(now, limit);
    slots.limit.set(PLACED);
    slots.deadline.set(Some(deadline));
    deadline
}

/// Sets the deadline of what is called while the guard lives. A later deadline than one already
/// set changes nothing: what is further in may only tighten it.
#[inline]
pub fn enter_deadline(limit: Deadline) -> InDeadline {
    let earliest = match deadline() {
        Some(outer) if outer < limit => outer,
        _ => limit,
    };
    InDeadline::new(Some(earliest))
}

/// Hides the deadline from what is called while the guard lives, which is then dropped at it like
/// any call whose caller has left: because the time was up is not said. It is for a deadline that
/// tells nothing of the service, as where a caller has set it as short as they like.
pub fn without_deadline() -> InDeadline {
    InDeadline::new(None)
}

/// Puts the former deadline back when dropped.
#[derive(Debug)]
#[must_use = "the deadline is taken back when the guard is dropped"]
pub struct InDeadline {
    was: (Span, Option<Deadline>),
    here: PhantomData<*const ()>,
}

impl InDeadline {
    pub(super) fn new(deadline: Option<Deadline>) -> Self {
        let limit = deadline.map_or(Span::NONE, |_| PLACED);
        slots(|slots| Self {
            was: (slots.limit.replace(limit), slots.deadline.replace(deadline)),
            here: PhantomData,
        })
    }
}

impl Drop for InDeadline {
    fn drop(&mut self) {
        slots(|slots| {
            slots.limit.set(self.was.0);
            slots.deadline.set(self.was.1);
        });
    }
}

/// In the slot of the limit: it is on the clock, and there is a deadline.
const PLACED: Span = Span(u64::MAX - 1);

/// A limit on the time of a call, or none.
///
/// To read the clock costs more than all else that a call costs which is answered at once. So the
/// limit is put on the clock only when it is first needed: when a layer has to wait, or when
/// anything further in asks for the [`deadline`]. Until then its time has not begun.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    within: Span,
    at: Option<Deadline>,
}

impl Due {
    /// Never due.
    pub const NEVER: Self = Self {
        within: Span::NONE,
        at: None,
    };

    /// Due this long after its time begins.
    #[inline]
    #[must_use]
    pub const fn within(limit: Duration) -> Self {
        Self {
            within: Span::new(limit),
            at: None,
        }
    }

    /// The same limit, of which no time has passed.
    #[inline]
    #[must_use]
    pub const fn anew(self) -> Self {
        Self {
            within: self.within,
            at: None,
        }
    }

    /// Due at this instant.
    #[cold]
    #[must_use]
    pub fn by(deadline: Deadline) -> Self {
        Self {
            within: Span::new(deadline.remaining(now())),
            at: Some(deadline),
        }
    }

    /// Whether a layer further out has set a limit to the current call.
    #[inline]
    #[must_use]
    pub fn is_of_the_call() -> bool {
        slots(|slots| slots.limit.get() != Span::NONE)
    }

    /// The limit that a layer further out has set to the current call.
    #[must_use]
    pub fn of_the_call() -> Self {
        slots(|slots| match slots.limit.get() {
            PLACED => slots.deadline.get().map_or(Self::NEVER, Self::by),
            within => Self { within, at: None },
        })
    }

    /// Whether there is no limit.
    #[inline]
    #[must_use]
    pub const fn is_never(&self) -> bool {
        self.within.is_none()
    }

    /// Whether there is no time at all.
    #[inline]
    #[must_use]
    pub const fn is_now(&self) -> bool {
        self.within.0 == 0
    }

    /// How long the call has in all.
    #[inline]
    #[must_use]
    pub const fn limit(&self) -> Duration {
        Duration::from_nanos(self.within.0)
    }

    /// The deadline, where it is on the clock.
    #[inline]
    #[must_use]
    pub const fn deadline(&self) -> Option<Deadline> {
        self.at
    }

    /// The deadline, where there is a limit; its time begins at `now` if it has not yet begun.
    #[inline]
    pub fn place(&mut self, now: impl FnOnce() -> Instant) -> Option<Deadline> {
        if self.at.is_none() && !self.is_never() {
            self.at = Some(Deadline::within(now(), self.within));
        }
        self.at
    }

    /// Whether it is due before `other`, if the time of both begins now at the latest.
    #[inline]
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        match (self.at, other.at) {
            (None, None) => self.within < other.within,
            _ => self.is_before_on_the_clock(other),
        }
    }

    #[cold]
    fn is_before_on_the_clock(mut self, mut other: Self) -> bool {
        match (self.place(now), other.place(now)) {
            (Some(own), Some(other)) => own < other,
            (own, None) => own.is_some(),
            (None, _) => false,
        }
    }

    /// Limits what is called while the guard lives, or does nothing where there is no limit. It is
    /// for the caller to see that it is not due later than what a layer further out has set.
    #[inline(always)]
    pub fn enter(&mut self) -> InTime<'_> {
        let was = slots(|slots| slots.limit.get());
        match (self.at, was) {
            // Its time has not begun, so nothing of it has been found pending either: the reading
            // of an earlier poll would be in the past. Most calls come this way, so it stands apart
            // from the one below that does the same after asking more.
            (None, Span::NONE) => slots(|slots| {
                slots.limit.set(self.within);
                slots.paused.set(None);
            }),
            // There is none further out whose deadline would have to be kept.
            (Some(_), Span::NONE) => slots(|slots| {
                slots.limit.set(PLACED);
                slots.deadline.set(self.at);
            }),
            (None, _) if self.is_never() => {}
            (None, limit) if limit != PLACED => slots(|slots| {
                slots.limit.set(self.within);
                slots.paused.set(None);
            }),
            _ => self.at = self.enter_on_the_clock(),
        }
        InTime {
            due: self,
            was,
            here: PhantomData,
        }
    }

    /// There is but one slot for a deadline, so a limit on the clock puts those inside it on the
    /// clock as well. What was in the slot is to be kept in place of what goes there.
    // By value, as is its counterpart: what another function may write to is kept in memory.
    #[cold]
    #[inline(never)]
    fn enter_on_the_clock(mut self) -> Option<Deadline> {
        let outer = match slots(|slots| slots.limit.replace(PLACED)) {
            PLACED => slots(|slots| slots.deadline.get()),
            _ => None,
        };
        let deadline = match (self.at, outer) {
            (None, Some(outer)) => self.place(now).map(|own| own.min(outer)),
            (at, _) => at,
        };
        slots(|slots| slots.deadline.set(deadline));
        outer
    }

    #[cold]
    #[inline(never)]
    fn leave_the_clock(self) -> Option<Deadline> {
        slots(|slots| slots.deadline.replace(self.at))
    }
}

/// Puts the former limit back when dropped, and keeps the deadline if someone has asked for it.
#[derive(Debug)]
#[must_use = "the limit is taken back when the guard is dropped"]
pub struct InTime<'a> {
    due: &'a mut Due,
    was: Span,
    here: PhantomData<*const ()>,
}

impl Drop for InTime<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let is = slots(|slots| slots.limit.replace(self.was));
        if is == PLACED {
            match self.was {
                // That is the doing of a limit further out.
                _ if self.due.is_never() => slots(|slots| slots.limit.set(is)),
                Span::NONE if self.due.at.is_some() => {}
                Span::NONE => self.due.at = slots(|slots| slots.deadline.get()),
                _ => self.due.at = self.due.leave_the_clock(),
            }
        }
    }
}
