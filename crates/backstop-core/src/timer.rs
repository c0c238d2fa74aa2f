//! A timer that is small and costs no allocation.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes a future at an instant: one word where tokio's own [`Sleep`] has fourteen.
///
/// A layer's future is moved by every layer round it, and most calls never wait. So the `Sleep` is
/// kept elsewhere, and what it was kept in is used again by the next timer of the thread: memory is
/// only allocated where more timers run at once than the thread has room kept for. The `Sleep`
/// itself is each timer's own, so that a timer belongs to the runtime that it was first set in and
/// to no other.
#[derive(Debug, Default)]
pub struct Timer(Option<Place>);

/// Where a `Sleep` is kept.
type Place = Pin<Box<Option<Sleep>>>;

/// How many places a thread keeps for later.
const KEPT: usize = 64;

/// Places that no timer is in.
struct Spare {
    /// The one that was used last: most calls need no other.
    one: Cell<Option<Place>>,
    others: RefCell<Vec<Place>>,
}

thread_local! {
    static SPARE: Spare = const {
        Spare {
            one: Cell::new(None),
            others: RefCell::new(Vec::new()),
        }
    };
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
            None => self.0.insert(place()).set(Some(sleep_until(until))),
        }
    }

    /// Sets a timer that is not set yet to `until`, and polls it.
    ///
    /// # Panics
    ///
    /// As [`set`](Self::set) does.
    #[inline]
    pub fn start(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let place = self.0.insert(place());
        place.set(Some(sleep_until(until)));
        match place.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Pending,
        }
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
        self.0.as_mut()?.as_mut().as_pin_mut()
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

fn place() -> Place {
    let last = SPARE.try_with(|spare| spare.one.take());
    last.ok().flatten().unwrap_or_else(another_place)
}

#[inline(never)]
fn put_back(mut place: Place) {
    place.set(None);
    // A thread that is about to end has no use for it.
    if let Ok(Some(another)) = SPARE.try_with(|spare| spare.one.replace(Some(place))) {
        put_another_back(another);
    }
}

// Apart and cold, so that a thread with one timer at a time pays for a comparison only.

#[cold]
fn another_place() -> Place {
    let kept = SPARE.try_with(|spare| spare.others.borrow_mut().pop());
    kept.ok().flatten().unwrap_or_else(|| Box::pin(None))
}

#[cold]
fn put_another_back(place: Place) {
    let _ = SPARE.try_with(|spare| {
        let mut others = spare.others.borrow_mut();
        if others.len() < KEPT {
            others.push(place);
        }
    });
}
