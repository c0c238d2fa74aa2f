//! A response that goes on after `call` has returned: an HTTP body, a stream of tokens.
//!
//! A layer that must know how a response ended, or must cut it short, attaches a [`Watch`] to it
//! by way of a strategy: [`AtOnce`] where there is no tail, [`UntilEnd`] where there is one. The
//! strategy is a type parameter of the layer, so a response without a tail costs nothing, and no
//! layer needs `Send` or `'static` for the sake of those that have one.

use std::{
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Poll},
};

use crate::Fault;

/// How a tail ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// It came to its proper end.
    Completed,
    /// The caller dropped it before it had ended.
    Dropped,
    /// It broke off, brought an error, or was cut by a watch.
    Failed(Fault),
}

/// Watches one tail. `E` is the tail's error type.
///
/// A tail that is dropped before its end drops its watch without a call to
/// [`on_end`](Self::on_end): a watch that must know of it says so in its own `Drop`.
pub trait Watch<E> {
    /// Asked whenever the tail itself is pending, with the waker of whoever polls it. An error
    /// ends the tail.
    fn poll_cut(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        let _ = cx;
        Poll::Pending
    }

    /// Round each poll of the tail: fills the slots of the call's context, say.
    fn around<R>(self: Pin<&mut Self>, poll: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        poll()
    }

    /// An item came.
    fn on_item(self: Pin<&mut Self>) {}

    /// The tail ended. Called at most once.
    fn on_end(self: Pin<&mut Self>, end: End);
}

/// Attaches a watch to a response's tail.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't watch the tail of a `{Res}`",
    note = "with its feature `http`, backstop-core knows the tail of an `http::Response`; a \
            response that has none needs no `until_end()`"
)]
pub trait Tail<Res, W> {
    /// The response with the watch in it.
    type Response;

    /// Attaches `watch` to the tail of `response`.
    fn attach(&self, response: Res, watch: W) -> Self::Response;
}

/// The response is all there is: whatever watches it is told at once that it has completed.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtOnce;

/// The response goes on in its tail, and the watch stays with it until that has ended.
///
/// It is implemented for `http::Response` (feature `http`); a response type of one's own
/// implements [`Tail`] for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct UntilEnd;

impl<Res, W: Completes> Tail<Res, W> for AtOnce {
    type Response = Res;

    // The watch is consumed on the spot, so that what it would have kept need never be written.
    #[inline(always)]
    fn attach(&self, response: Res, watch: W) -> Res {
        // What a panic would have to drop is kept in memory, and read from there by every layer
        // further out. A response that nothing drops stays in registers.
        let response = ManuallyDrop::new(response);
        watch.completed();
        ManuallyDrop::into_inner(response)
    }
}

/// A watch that can be told that there is no tail to watch.
pub trait Completes {
    /// The response was complete when it came. It waits for this to return, and what it holds is not
    /// given back if this panics.
    fn completed(self);
}
