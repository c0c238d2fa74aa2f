//! When the call must be over.

use std::{cell::Cell, marker::PhantomData, time::Duration};

use super::{Entered, now};
use crate::Deadline;

thread_local! {
    pub(super) static DEADLINE: Cell<Option<Deadline>> = const { Cell::new(None) };
    /// A limit that is not on the clock yet, tighter than the deadline.
    static WITHIN: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// The instant by which the current call must be over, where a layer further out set one.
#[inline]
#[must_use]
pub fn deadline() -> Option<Deadline> {
    if let Some(within) = WITHIN.get() {
        place(within);
    }
    DEADLINE.get()
}

/// Puts a limit on the clock, because someone asks for the deadline.
#[cold]
fn place(within: Duration) {
    let mut deadline = Deadline::after(now(), within);
    if let Some(outer) = DEADLINE.get() {
        deadline = deadline.min(outer);
    }
    WITHIN.set(None);
    DEADLINE.set(Some(deadline));
}

/// Sets the deadline of what is called while the guard lives. A later deadline than one already
/// set changes nothing: what is further in may only tighten it.
#[inline]
pub fn enter_deadline(limit: Deadline) -> Entered<Option<Deadline>> {
    let earliest = match deadline() {
        Some(outer) if outer < limit => outer,
        _ => limit,
    };
    Entered::new(&DEADLINE, Some(earliest))
}

/// A limit on the time of a call.
///
/// To read the clock costs more than all else that a call costs which is answered at once. So the
/// limit is put on the clock only when it is first needed: when a layer has to wait, or when
/// anything further in asks for the [`deadline`]. Until then its time has not begun.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    within: Duration,
    at: Option<Deadline>,
}

impl Due {
    /// Due this long after its time begins.
    #[inline]
    #[must_use]
    pub const fn within(limit: Duration) -> Self {
        Self {
            within: limit,
            at: None,
        }
    }

    /// Due at this instant.
    #[must_use]
    pub fn by(deadline: Deadline) -> Self {
        Self {
            within: deadline.remaining(now()),
            at: Some(deadline),
        }
    }

    /// The limit that a layer further out has set to the current call.
    #[inline]
    #[must_use]
    pub fn of_the_call() -> Option<Self> {
        match WITHIN.get() {
            Some(within) => Some(Self::within(within)),
            None => DEADLINE.get().map(Self::by),
        }
    }

    /// How long the call has in all.
    #[inline]
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.within
    }

    /// The deadline, where it is on the clock.
    #[inline]
    #[must_use]
    pub const fn deadline(&self) -> Option<Deadline> {
        self.at
    }

    /// The deadline; its time begins now if it has not yet begun.
    #[inline]
    pub fn place(&mut self) -> Deadline {
        *self
            .at
            .get_or_insert_with(|| Deadline::after(now(), self.within))
    }

    /// Whether it is due before `other`, if the time of both begins now at the latest.
    #[inline]
    #[must_use]
    pub fn is_before(mut self, mut other: Self) -> bool {
        match (self.at, other.at) {
            (None, None) => self.within < other.within,
            _ => self.place() < other.place(),
        }
    }

    /// Limits what is called while the guard lives. It is for the caller to see that it is not due
    /// later than what a layer further out has set.
    #[inline]
    pub fn enter(&mut self) -> InTime<'_> {
        let was = (DEADLINE.get(), WITHIN.get());
        match self.at {
            None => WITHIN.set(Some(self.within)),
            Some(_) => {
                DEADLINE.set(self.at);
                WITHIN.set(None);
            }
        }
        InTime {
            due: self,
            was,
            here: PhantomData,
        }
    }
}

/// Puts the former limit back when dropped, and keeps the deadline if someone has asked for it.
#[derive(Debug)]
#[must_use = "the limit is taken back when the guard is dropped"]
pub struct InTime<'a> {
    due: &'a mut Due,
    was: (Option<Deadline>, Option<Duration>),
    here: PhantomData<*const ()>,
}

impl Drop for InTime<'_> {
    #[inline]
    fn drop(&mut self) {
        if WITHIN.replace(self.was.1).is_none() {
            self.due.at = DEADLINE.replace(self.was.0);
        }
    }
}
