//! What a call carries through all layers, although they don't know each other and the request
//! may be of any type.
//!
//! Each thing carried has a thread-local slot of its own. A layer fills a slot by a guard round
//! the inner `call`, every poll of the inner future and its drop; the guard puts back what was
//! there before, also when a panic passes through. Calls that are polled in turns on one task
//! therefore don't mix, and nothing is asked of the request, the response or the error.
//!
//! A slot belongs to the thread that polls. Work handed to another task — by `tokio::spawn`, or by
//! tower's `Buffer` — starts with empty slots, unless [`Captured`] carries them over.
//!
//! What can be read: [`deadline`], [`alternatives`], [`attempt`], [`may_attempt`], [`now`],
//! [`fault`]; and the trail, by [`traced`] from outside and by [`record`] from inside.

mod due;

use std::{cell::Cell, marker::PhantomData, mem::ManuallyDrop, thread::LocalKey};

use tokio::time::Instant;

use crate::{Attempt, Deadline, Fault, Name, Trail};

use self::due::DEADLINE;
pub use self::due::{Due, InTime, deadline, enter_deadline};

thread_local! {
    static ALTERNATIVES: Cell<bool> = const { Cell::new(false) };
    static ATTEMPT: Cell<u32> = const { Cell::new(0) };
    static BESIDE: Cell<bool> = const { Cell::new(false) };
    static BOUND: Cell<u32> = const { Cell::new(0) };
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };

    /// 0 while no trail is open, else one more than the number of attempts on it.
    static OPEN: Cell<usize> = const { Cell::new(0) };
    /// The open trail once there is anything on it. It is never dropped in place: the scope that
    /// put it there takes it out again. Without a destructor the slot is a plain memory cell.
    static TRAIL: Cell<ManuallyDrop<Trail>> = const { Cell::new(ManuallyDrop::new(Trail::new())) };
}

/// Puts the former content of a slot back when dropped.
///
/// It can't leave its thread: the slot is the thread's.
#[derive(Debug)]
#[must_use = "the slot is emptied when the guard is dropped"]
pub struct Entered<T: Copy + 'static> {
    slot: &'static LocalKey<Cell<T>>,
    was: T,
    here: PhantomData<*const ()>,
}

impl<T: Copy> Entered<T> {
    #[inline]
    fn new(slot: &'static LocalKey<Cell<T>>, value: T) -> Self {
        Self {
            slot,
            was: slot.replace(value),
            here: PhantomData,
        }
    }
}

impl<T: Copy> Drop for Entered<T> {
    #[inline]
    fn drop(&mut self) {
        self.slot.set(self.was);
    }
}

/// Whether another candidate is ready to be asked if this one fails: then it is better to fail
/// over than to wait. A fallback sets it; without one it is false.
#[inline]
#[must_use]
pub fn alternatives() -> bool {
    ALTERNATIVES.get()
}

/// Says for what is called while the guard lives whether another candidate is ready.
#[inline]
pub fn enter_alternatives(ready: bool) -> Entered<bool> {
    Entered::new(&ALTERNATIVES, ready)
}

/// Which attempt of a retry the current call belongs to, from 1 on; 0 outside any retry. A retry
/// that finds itself inside another one makes a single attempt, so that nested retries don't
/// multiply.
#[inline]
#[must_use]
pub fn attempt() -> u32 {
    ATTEMPT.get()
}

/// Marks what is called while the guard lives as this attempt of a retry.
#[inline]
pub fn enter_attempt(number: u32) -> Entered<u32> {
    Entered::new(&ATTEMPT, number)
}

/// Whether the call's bound on attempts leaves room for another one after those on the trail. A
/// retry asks before it tries again; a fallback, before it goes on to another candidate.
#[must_use]
pub fn may_attempt() -> bool {
    match BOUND.get() {
        0 => true,
        _ if OPEN.get() <= 1 => true,
        bound => with_trail(|trail| trail.attempted()) < bound as usize,
    }
}

/// Bounds the attempts of what is called while the guard lives, all candidates together. A wider
/// bound than one already set changes nothing: what is further in may only tighten it.
#[inline]
pub fn enter_bound(attempts: std::num::NonZeroU32) -> Entered<u32> {
    let tightest = match BOUND.get() {
        0 => attempts.get(),
        outer => outer.min(attempts.get()),
    };
    Entered::new(&BOUND, tightest)
}

/// The current instant. Reading the clock is the dearest single thing that most layers do, so a
/// layer that has just read it shares the reading with what it calls.
#[inline]
#[must_use]
pub fn now() -> Instant {
    match NOW.get() {
        Some(now) => now,
        None => Instant::now(),
    }
}

/// The reading of the clock that a layer further out shares, where one does: for a layer that can
/// do without, but takes it where it costs nothing.
#[inline]
#[must_use]
pub fn shared_now() -> Option<Instant> {
    NOW.get()
}

/// Shares a reading of the clock with what is called while the guard lives. Only for a guard
/// round a single `call`: the reading must not grow old.
#[inline]
pub fn enter_now(now: Instant) -> Entered<Option<Instant>> {
    Entered::new(&NOW, Some(now))
}

/// The fault that a layer further in made itself and is now returning as an error.
#[inline]
#[must_use]
pub fn fault() -> Option<Fault> {
    FAULT.get()
}

/// Leaves the fault behind an error that this layer makes itself, just before returning it: the
/// next layer out then need not guess at the error's type.
#[inline]
pub fn leave_fault(fault: Fault) {
    FAULT.set(Some(fault));
}

/// Drops the fault left behind an error, because the error goes no further. A layer that recovers
/// from an error calls this; so should a service of your own that does.
#[inline]
pub fn clear_fault() {
    // Not `FAULT.set`: in a slot that is not yet in use it would take a detour.
    FAULT.with(|fault| fault.set(None));
}

/// Adds an attempt to the open trail. Where none is open it does nothing.
pub fn record(attempt: Attempt) {
    let open = OPEN.get();
    if open == 0 {
        return;
    }
    with_trail(|trail| trail.push(attempt));
}

/// Adds an attempt to the open trail, unless one was added since the trail was [`mark`]ed: the
/// layer nearest to a failure records it, and those further out don't repeat it.
#[inline]
pub fn record_since(mark: Mark, attempt: Attempt) {
    if OPEN.get() == mark.0 {
        record(attempt);
    }
}

/// A place on the open trail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark(usize);

/// The present end of the open trail.
#[inline]
#[must_use]
pub fn mark() -> Mark {
    Mark(OPEN.get())
}

/// Whether anything has failed in this call already.
#[inline]
#[must_use]
pub fn has_failed() -> bool {
    OPEN.get() > 1
}

/// Whether what is called now is the first that is asked in its call: nothing has failed yet, and
/// nothing else has been asked that is yet to answer.
#[inline]
#[must_use]
pub fn is_first() -> bool {
    !has_failed() && !BESIDE.get()
}

/// Says for what is called while the guard lives that something else has been asked before it, and
/// has yet to answer. Only for a guard round a single `call`.
#[inline]
pub fn enter_beside() -> Entered<bool> {
    Entered::new(&BESIDE, true)
}

/// Names the attempts recorded since `mark` that have no name yet.
#[inline]
pub fn name_since(mark: Mark, name: &Name) {
    if OPEN.get() > mark.0 {
        name_from(mark.0.saturating_sub(1), name);
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
    OPEN.set(trail.recorded() + 1);
    TRAIL.set(trail);
    result
}

/// A layer's part in keeping the trail: the outermost layer owns it, the others do nothing.
///
/// A layer makes one in `call` and enters it round the inner `call` and every poll.
#[derive(Debug)]
pub struct Scope {
    /// What is on the trail while it isn't open.
    trail: Trail,
    /// Whether this layer is the outermost.
    is_owner: bool,
}

impl Scope {
    /// The scope of a call that begins now: it owns a trail unless one is open already.
    #[inline]
    #[must_use]
    pub fn open() -> Self {
        Self {
            trail: Trail::new(),
            is_owner: OPEN.get() == 0,
        }
    }

    /// Opens the trail for what is called while the guard lives.
    #[inline]
    pub fn enter(&mut self) -> InScope<'_> {
        if self.is_owner {
            // A fault that an earlier call of this thread left behind is none of this one's.
            FAULT.set(None);
            if self.trail.is_empty() {
                OPEN.set(1);
            } else {
                resume(&mut self.trail);
            }
        }
        InScope {
            scope: self,
            here: PhantomData,
        }
    }
}

/// Closes the trail again when dropped.
#[derive(Debug)]
#[must_use = "the trail is closed when the guard is dropped"]
pub struct InScope<'a> {
    scope: &'a mut Scope,
    here: PhantomData<*const ()>,
}

impl Drop for InScope<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.scope.is_owner && OPEN.replace(0) > 1 {
            suspend(&mut self.scope.trail);
        }
    }
}

// Apart and cold, so that a call in which nothing has failed pays for a comparison only.

#[cold]
fn resume(trail: &mut Trail) {
    OPEN.set(trail.recorded() + 1);
    TRAIL.set(ManuallyDrop::new(std::mem::take(trail)));
}

#[cold]
fn suspend(trail: &mut Trail) {
    *trail = ManuallyDrop::into_inner(TRAIL.replace(ManuallyDrop::new(Trail::new())));
}

/// The deadline, the alternatives and the attempt mark of the current call, to be carried over to
/// another task.
///
/// ```
/// use backstop_core::context::Captured;
///
/// # async fn work() {}
/// # async fn example() {
/// let captured = Captured::now();
/// let task = tokio::spawn(captured.carry(work()));
/// # task.await.unwrap();
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Captured {
    deadline: Option<Deadline>,
    alternatives: bool,
    attempt: u32,
}

impl Captured {
    /// What the current call carries now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            deadline: deadline(),
            alternatives: alternatives(),
            attempt: attempt(),
        }
    }

    /// Runs `f` with the slots filled as they were when captured.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _deadline = Entered::new(&DEADLINE, self.deadline);
        let _alternatives = Entered::new(&ALTERNATIVES, self.alternatives);
        let _attempt = Entered::new(&ATTEMPT, self.attempt);
        f()
    }

    /// A future whose every poll has the slots filled as they were when captured.
    pub fn carry<F: Future>(self, inner: F) -> Carried<F> {
        Carried {
            inner,
            captured: self,
        }
    }
}

pin_project_lite::pin_project! {
    /// A future made by [`Captured::carry`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Carried<F> {
        #[pin]
        inner: F,
        captured: Captured,
    }
}

impl<F: Future> Future for Carried<F> {
    type Output = F::Output;

    fn poll(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let this = self.project();
        this.captured.run(|| this.inner.poll(cx))
    }
}

/// Follows a call from outside: resolves to what it resolves to, and the trail of what failed on
/// the way, on success as well.
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
        scope: Scope {
            trail: Trail::new(),
            is_owner: true,
        },
    }
}

pin_project_lite::pin_project! {
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

    fn poll(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let this = self.project();
        let polled = {
            let _open = this.scope.enter();
            this.inner.poll(cx)
        };
        polled.map(|output| (output, std::mem::take(&mut this.scope.trail)))
    }
}
