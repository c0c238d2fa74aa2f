//! A timer of one word, which uses again what the thread's last timers were kept in.

use std::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep_until},
};

/// Wakes a future at an instant: one word where tokio's own [`Sleep`] has fourteen.
///
/// A layer's future is moved by every layer round it, and most calls never wait. So the `Sleep` is
/// kept elsewhere, and the next timer of the thread uses it again: memory is only allocated where
/// more timers run at once than the thread has kept.
///
/// What is kept stays in the runtime's list of timers. To put a `Sleep` there and to take it out
/// again takes a lock that all threads of the runtime share, and is most of what a call costs that
/// waits; to move one to a later instant is one write. The price is that a timer which nobody waits
/// for any more comes due once, if it is not used again before, and then wakes, for nothing, the
/// task that polled it last. Until then it keeps that task's memory, and its runtime's. Under a
/// paused clock it is an instant like any other that the clock may move on to when nothing is left
/// to do.
#[derive(Debug, Default)]
pub struct Timer(Option<Place>);

/// Where a `Sleep` is kept.
type Place = Pin<Box<Kept>>;

pin_project! {
    #[derive(Debug)]
    struct Kept {
        // It goes by the clock of this runtime, and is of no use to another.
        runtime: Id,
        #[pin]
        sleep: Sleep,
    }
}

/// How many a thread keeps.
const KEPT: usize = 64;

thread_local! {
    /// Timers that nobody waits for.
    static SPARE: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

impl Timer {
    /// A timer that is not set, and never wakes anyone until it is.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether it is set.
    #[inline]
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Sets it to `until`, whatever it was set to before. It wakes whoever polls it next.
    ///
    /// # Panics
    ///
    /// Outside any runtime that has its time driver enabled, as tokio's own timers do.
    #[inline]
    pub fn set(&mut self, until: Instant) {
        match self.sleep() {
            Some(sleep) => sleep.reset(until),
            None => self.0 = Some(place(until)),
        }
    }

    /// Sets a timer that is not set yet to `until`, and polls it.
    ///
    /// # Panics
    ///
    /// As [`set`](Self::set) does.
    #[inline]
    pub fn start(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let place = self.0.insert(place(until));
        place.as_mut().project().sleep.poll(cx)
    }

    /// Ready once its instant has come.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.sleep() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Pending,
        }
    }

    #[inline]
    fn sleep(&mut self) -> Option<Pin<&mut Sleep>> {
        Some(self.0.as_mut()?.as_mut().project().sleep)
    }
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            put_back(place);
        }
    }
}

/// A place with a `Sleep` of the current runtime in it, set to `until`.
fn place(until: Instant) -> Place {
    let runtime = Handle::current().id();
    while let Some(mut place) = spare() {
        if place.runtime == runtime {
            place.as_mut().project().sleep.reset(until);
            return place;
        }
        // The runtime that the thread was in before is over, as a rule.
    }
    Box::pin(Kept {
        runtime,
        sleep: sleep_until(until),
    })
}

fn spare() -> Option<Place> {
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
    spare.ok().flatten()
}

#[inline(never)]
fn put_back(place: Place) {
    // One too many is dropped, but not before the others are free to be used again: a waker may go
    // with it, and another timer with that. A thread that is about to end keeps none.
    let _one_too_many = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() == KEPT {
            return Some(place);
        }
        spare.push(place);
        None
    });
}
