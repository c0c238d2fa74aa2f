//! The slots of the thread.

use std::{cell::Cell, marker::PhantomData};

use tokio::time::Instant;

use crate::{Deadline, Fault, span::Span};

/// What the current call carries. All of it in one place, so that a layer that fills several slots
/// looks for them once.
pub(super) struct Slots {
    /// The limit on the time of the call.
    pub(super) limit: Cell<Span>,
    /// When that is due, if it is on the clock.
    pub(super) deadline: Cell<Option<Deadline>>,
    pub(super) now: Cell<Option<Instant>>,
    pub(super) fault: Cell<Option<Fault>>,
    /// When a layer further in was first found pending, in the present poll.
    pub(super) paused: Cell<Option<Instant>>,
    /// 0 while no trail is open, else one more than the number of attempts on it.
    pub(super) open: Cell<u32>,
    pub(super) attempt: Cell<u32>,
    pub(super) bound: Cell<u32>,
    /// How many attempts of the call are under way beside the present one.
    pub(super) others: Cell<u32>,
    pub(super) alternatives: Cell<bool>,
    pub(super) beside: Cell<bool>,
    /// Whether a call that was dropped in the present poll left its trail.
    pub(super) left: Cell<bool>,
}

thread_local! {
    // Without a destructor, and made by a constant: to look for a slot is to add a number to the
    // thread's own address.
    static SLOTS: Slots = const {
        Slots {
            limit: Cell::new(Span::NONE),
            deadline: Cell::new(None),
            now: Cell::new(None),
            fault: Cell::new(None),
            paused: Cell::new(None),
            open: Cell::new(0),
            attempt: Cell::new(0),
            bound: Cell::new(0),
            others: Cell::new(0),
            alternatives: Cell::new(false),
            beside: Cell::new(false),
            left: Cell::new(false),
        }
    };
}

#[inline(always)]
pub(super) fn slots<R>(f: impl FnOnce(&Slots) -> R) -> R {
    // By `try_with`, which is inlined where `with` is not. The cell keeps the compiler from telling a
    // missing slot by a value that the result itself never has: then it knows that none is missing.
    match SLOTS.try_with(|slots| Cell::new(f(slots))) {
        Ok(result) => result.into_inner(),
        Err(_) => unreachable!("what needs no destructor is there for as long as the thread"),
    }
}

/// Which slot.
pub(super) type Which<T> = fn(&Slots) -> &Cell<T>;

/// Puts the former content of a slot back when dropped.
///
/// It can't leave its thread: the slot is the thread's.
#[must_use = "the slot is emptied when the guard is dropped"]
pub struct Entered<T: Copy + 'static> {
    which: Which<T>,
    was: T,
    here: PhantomData<*const ()>,
}

impl<T: Copy> Entered<T> {
    #[inline(always)]
    pub(super) fn new(which: Which<T>, value: T) -> Self {
        Self {
            which,
            was: slots(|slots| which(slots).replace(value)),
            here: PhantomData,
        }
    }
}

impl<T: Copy> Drop for Entered<T> {
    #[inline(always)]
    fn drop(&mut self) {
        slots(|slots| (self.which)(slots).set(self.was));
    }
}

impl<T: Copy + std::fmt::Debug> std::fmt::Debug for Entered<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entered").field("was", &self.was).finish()
    }
}
