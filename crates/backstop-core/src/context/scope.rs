//! The open trail, and whose it is.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    mem::{ManuallyDrop, take},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{begin_poll, slots::slots};
use crate::{Attempt, Name, Trail};

thread_local! {
    /// The open trail once there is anything on it. It is never dropped in place: the scope that
    /// put it there takes it out again. Without a destructor the slot is a plain memory cell.
    static TRAIL: Cell<ManuallyDrop<Trail>> = const { Cell::new(ManuallyDrop::new(Trail::new())) };

    /// The trail of the last call that was dropped, or came to its end, with nobody to hand it to.
    static LEFT: RefCell<Trail> = const { RefCell::new(Trail::new()) };
}

/// Whether the call's bound on attempts leaves room for another one, after those on the trail and
/// those that are under way beside the present one. A retry asks before it tries again; a fallback,
/// before it goes on to another candidate.
#[must_use]
pub fn may_attempt() -> bool {
    let (bound, others) = slots(|slots| (slots.bound.get(), slots.others.get()));
    if bound == 0 {
        return true;
    }
    let failed = if has_failed() {
        with_trail(|trail| trail.attempted())
    } else {
        0
    };
    failed.saturating_add(others as usize) < bound as usize
}

/// Adds an attempt to the open trail. Where none is open it does nothing: layers open it round
/// every poll and not round `call`, so what fails in `call` is to be recorded by the first poll.
pub fn record(attempt: Attempt) {
    if mark().0 == 0 {
        return;
    }
    with_trail(|trail| trail.push(attempt));
}

/// Adds an attempt to the open trail, unless one was added since the trail was [`mark`]ed: the
/// layer nearest to a failure records it, and those further out don't repeat it.
#[inline]
pub fn record_since(since: Mark, attempt: Attempt) {
    if mark() == since {
        record(attempt);
    }
}

/// Notes on the open trail that the call has made its deposit into a budget: for a layer that did so,
/// and has just recorded a failure of what it called.
pub fn note_deposit() {
    if has_failed() {
        with_trail(Trail::note_deposit);
    }
}

/// Whether the open trail tells that the call has made its deposit into a budget. A candidate that
/// was passed over without being called has made none.
#[inline]
pub(super) fn has_deposited() -> bool {
    has_failed() && tells_of_deposit()
}

#[cold]
#[inline(never)]
fn tells_of_deposit() -> bool {
    with_trail(|trail| trail.has_deposited())
}

/// A place on the open trail.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mark(u32);

/// The present end of the open trail.
#[inline]
#[must_use]
pub fn mark() -> Mark {
    Mark(slots(|slots| slots.open.get()))
}

/// Whether anything has failed in this call already.
#[inline]
#[must_use]
pub fn has_failed() -> bool {
    mark().0 > 1
}

/// Names the attempts recorded since the trail was [`mark`]ed that have no name yet.
#[inline]
pub fn name_since(since: Mark, name: &Name) {
    if mark().0 > since.0 {
        name_from(since.0.saturating_sub(1) as usize, name);
    }
}

#[cold]
fn name_from(index: usize, name: &Name) {
    with_trail(|trail| trail.name_from(index, name));
}

/// A copy of the open trail: empty while nothing has failed, or where none is open.
#[inline]
#[must_use]
pub fn trail() -> Trail {
    if has_failed() {
        copy_of_trail()
    } else {
        Trail::new()
    }
}

#[cold]
fn copy_of_trail() -> Trail {
    with_trail(|trail| trail.clone())
}

fn with_trail<R>(f: impl FnOnce(&mut Trail) -> R) -> R {
    let mut trail = TRAIL.replace(ManuallyDrop::new(Trail::new()));
    let result = f(&mut trail);
    slots(|slots| slots.open.set(trail.recorded().saturating_add(1)));
    TRAIL.set(trail);
    result
}

/// Drops a call before it has ended, and gives what had failed in it: what is on the open trail,
/// or, where none is open, what a layer further in had kept for itself until now. For a layer that
/// began the poll by [`begin_poll`].
#[cold]
pub fn trail_of_dropped(drop_call: impl FnOnce()) -> Trail {
    drop_call();
    if mark().0 > 0 {
        return trail();
    }
    if !slots(|slots| slots.left.get()) {
        return Trail::new();
    }
    let left = LEFT.try_with(|left| left.borrow().clone());
    left.unwrap_or_default()
}

/// A layer's part in keeping the trail: the outermost layer that keeps one owns it, the others do
/// nothing.
///
/// A layer makes one in `call` and enters it round every poll. What it has to record in `call`
/// itself it leaves in the scope. Which layer is the outermost shows each time anew: a call may be
/// made in one place and polled in another.
#[derive(Debug)]
pub struct Scope {
    /// What is on the trail while it isn't open.
    trail: Trail,
}

impl Scope {
    /// The scope of a call that begins now.
    #[inline]
    #[must_use]
    pub const fn open() -> Self {
        Self {
            trail: Trail::new(),
        }
    }

    /// Records an attempt before the first poll, which puts it on the trail: to a layer further out
    /// it is then of this call, like all that is recorded while this call is polled.
    #[cold]
    pub fn record(&mut self, attempt: Attempt) {
        self.trail.push(attempt);
    }

    /// Opens the trail for what is polled while the guard lives, unless one is open already: then
    /// what is on this one is added to it.
    #[inline]
    pub fn enter(&mut self) -> InScope<'_> {
        let is_owner = mark().0 == 0;
        if is_owner {
            begin_poll();
            slots(|slots| slots.open.set(1));
        }
        if !self.trail.is_empty() {
            resume(&mut self.trail);
        }
        InScope {
            scope: self,
            is_owner,
            here: PhantomData,
        }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        if !self.trail.is_empty() {
            leave(&mut self.trail);
        }
    }
}

/// Closes the trail again when dropped.
#[derive(Debug)]
#[must_use = "the trail is closed when the guard is dropped"]
pub struct InScope<'a> {
    scope: &'a mut Scope,
    is_owner: bool,
    here: PhantomData<*const ()>,
}

impl Drop for InScope<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_owner {
            let recorded = slots(|slots| {
                slots.open.set(slots.open.get().wrapping_sub(1));
                slots.open.get()
            });
            if recorded > 0 {
                suspend(&mut self.scope.trail);
            }
        }
    }
}

// Apart and cold, so that a call in which nothing has failed pays for a comparison only.

#[cold]
fn resume(trail: &mut Trail) {
    with_trail(|open| open.append(take(trail)));
}

#[cold]
fn suspend(trail: &mut Trail) {
    *trail = ManuallyDrop::into_inner(TRAIL.replace(ManuallyDrop::new(Trail::new())));
    slots(|slots| slots.open.set(0));
}

#[cold]
fn leave(trail: &mut Trail) {
    let trail = take(trail);
    let is_first = !slots(|slots| slots.left.replace(true));
    // A thread that is about to end has nobody left to ask for it.
    let _ = LEFT.try_with(|left| {
        let mut left = left.borrow_mut();
        if is_first {
            *left = trail;
        } else {
            left.append(trail);
        }
    });
}

/// The trail of a call further out, put aside until this is dropped.
struct Aside {
    open: u32,
    trail: Trail,
}

impl Aside {
    fn new() -> Self {
        let mut trail = Trail::new();
        let open = slots(|slots| slots.open.replace(0));
        if open > 1 {
            suspend(&mut trail);
        }
        Self { open, trail }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        slots(|slots| slots.open.set(self.open));
        if !self.trail.is_empty() {
            resume(&mut self.trail);
        }
    }
}

/// Follows a call from outside: resolves to what it resolves to, and the trail of what failed on
/// the way, on success as well. Within another call, that is added to the trail of that call too.
///
/// ```
/// # async fn call() -> Result<(), ()> { Ok(()) }
/// # async fn example() {
/// let (result, trail) = backstop_core::context::traced(call()).await;
/// # assert!(result.is_ok() && trail.is_empty());
/// # }
/// ```
pub fn traced<F: Future>(inner: F) -> Traced<F> {
    Traced {
        inner,
        scope: Scope::open(),
    }
}

pin_project! {
    /// A future made by [`traced`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Traced<F> {
        #[pin]
        inner: F,
        scope: Scope,
    }
}

impl<F: Future> Future for Traced<F> {
    type Output = (F::Output, Trail);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = {
            let _outer = Aside::new();
            let _open = this.scope.enter();
            this.inner.poll(cx)
        };
        polled.map(|output| {
            let trail = take(&mut this.scope.trail);
            if mark().0 > 0 && !trail.is_empty() {
                resume(&mut trail.clone());
            }
            (output, trail)
        })
    }
}
