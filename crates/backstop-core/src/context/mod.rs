//! What a call carries through all layers, although they don't know each other and the request
//! may be of any type.
//!
//! Each thing carried has a thread-local slot of its own. A layer fills a slot by a guard round
//! the inner `call`, every poll of the inner future and its drop; the guard puts back what was
//! there before, also when a panic passes through. Calls that are polled in turns on one task
//! therefore don't mix, and nothing is asked of the request, the response or the error. The trail,
//! and the bound on the attempts that may be on it, are there round polls only: see [`Scope`].
//!
//! A slot belongs to the thread that polls. Work handed to another task — by `tokio::spawn`, or by
//! tower's `Buffer` — starts with empty slots, unless [`Captured`] carries them over.
//!
//! What can be read: [`deadline`], [`alternatives`], [`attempt`], [`may_attempt`], [`is_first`],
//! [`now`], [`paused_at`], [`fault`]; and the trail, by [`traced`] from outside, and from inside by
//! [`trail`].

mod carried;
mod due;
mod scope;
mod slots;

use std::num::NonZeroU32;

use tokio::time::Instant;

use self::slots::slots;
pub use self::{
    carried::{Captured, Carried},
    due::{
        Due, InDeadline, InTime, deadline, deadline_of_paused, enter_deadline, without_deadline,
    },
    scope::{
        InScope, Mark, Scope, Traced, has_failed, mark, may_attempt, name_since, note_deposit,
        record, record_since, traced, trail, trail_of_dropped,
    },
    slots::Entered,
};
use crate::Fault;

/// Whether another candidate is ready to be asked if this one fails: then it is better to fail
/// over than to wait. A fallback sets it; without one it is false.
#[inline]
#[must_use]
pub fn alternatives() -> bool {
    slots(|slots| slots.alternatives.get())
}

/// Says for what is called while the guard lives whether another candidate is ready.
#[inline]
pub fn enter_alternatives(ready: bool) -> Entered<bool> {
    Entered::new(|slots| &slots.alternatives, ready)
}

/// Which attempt of a retry the current call belongs to, from 1 on; 0 outside any retry. A retry
/// that finds itself inside another one makes a single attempt, so that nested retries don't
/// multiply.
#[inline]
#[must_use]
pub fn attempt() -> u32 {
    slots(|slots| slots.attempt.get())
}

/// Marks what is called while the guard lives as this attempt of a retry.
#[inline]
pub fn enter_attempt(number: u32) -> Entered<u32> {
    Entered::new(|slots| &slots.attempt, number)
}

/// Bounds the attempts of what is called while the guard lives, all candidates together. A wider
/// bound than one already set changes nothing: what is further in may only tighten it.
#[inline]
pub fn enter_bound(attempts: NonZeroU32) -> Entered<u32> {
    let tightest = match slots(|slots| slots.bound.get()) {
        0 => attempts.get(),
        outer => outer.min(attempts.get()),
    };
    Entered::new(|slots| &slots.bound, tightest)
}

/// Says for what is polled while the guard lives that one more attempt is under way beside it: it
/// counts against the bound, though it is not on the trail yet.
#[inline]
pub fn enter_other() -> Entered<u32> {
    let others = slots(|slots| slots.others.get());
    Entered::new(|slots| &slots.others, others.saturating_add(1))
}

/// The current instant. Reading the clock is the dearest single thing that most layers do, so a
/// layer that has just read it shares the reading with what it calls.
#[inline]
#[must_use]
pub fn now() -> Instant {
    slots(|slots| slots.now.get()).unwrap_or_else(Instant::now)
}

/// Shares a reading of the clock with what is called while the guard lives. Only for a guard
/// round a single `call`: the reading must not grow old.
#[inline]
pub fn enter_now(now: Instant) -> Entered<Option<Instant>> {
    Entered::new(|slots| &slots.now, Some(now))
}

/// Begins a poll of a call: what an earlier poll of this thread left behind is none of this one's.
/// For the outermost layer; those further in need not.
#[inline]
pub fn begin_poll() {
    slots(|slots| {
        slots.fault.set(None);
        slots.paused.set(None);
        slots.left.set(false);
    });
}

/// The instant at which a call was first found pending in this poll. Several layers want to know
/// it, one round the other: the innermost reads the clock, and leaves its reading for those that
/// find the same call pending after it.
#[inline]
#[must_use]
pub fn paused_at() -> Instant {
    slots(|slots| match slots.paused.get() {
        Some(paused) => paused,
        None => {
            let now = Instant::now();
            slots.paused.set(Some(now));
            now
        }
    })
}

/// The fault that a layer further in made itself and is now returning as an error.
#[inline]
#[must_use]
pub fn fault() -> Option<Fault> {
    slots(|slots| slots.fault.get())
}

/// Leaves the fault behind an error that this layer makes itself, just before returning it: the
/// next layer out then need not guess at the error's type.
#[inline]
pub fn leave_fault(fault: Fault) {
    slots(|slots| slots.fault.set(Some(fault)));
}

/// Drops the fault left behind an error, because the error goes no further. A layer that recovers
/// from an error calls this; so should a service of your own that does.
#[inline]
pub fn clear_fault() {
    slots(|slots| slots.fault.set(None));
}

/// Whether what is called now is the first that is asked in its call, and so the one to make the
/// call's deposit into a budget: nobody asked before it has failed, or is yet to answer. A candidate
/// that was passed over without being called has not been asked.
#[inline]
#[must_use]
pub fn is_first() -> bool {
    !slots(|slots| slots.beside.get()) && !scope::has_deposited()
}

/// Says for what is called while the guard lives that something else has been asked before it, and
/// has yet to answer. Only for a guard round a single `call`.
#[inline]
pub fn enter_beside() -> Entered<bool> {
    Entered::new(|slots| &slots.beside, true)
}
