//! The future of [`StampService`](crate::StampService).

use std::{
    mem::ManuallyDrop,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use backstop_core::{
    ServedBy, Stamped,
    context::{self, Mark, Scope},
};
use pin_project_lite::pin_project;

use crate::place::Place;

pin_project! {
    /// The future of [`StampService`](crate::StampService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, P, E> {
        #[pin]
        pub(crate) inner: F,
        // Handed on with the result.
        pub(crate) stamp: Option<Arc<Stamped>>,
        pub(crate) place: P,
        pub(crate) errors: E,
        pub(crate) scope: Scope,
    }
}

impl<F, P, E, Res, Err> Future for ResponseFuture<F, P, E>
where
    F: Future<Output = Result<Res, Err>>,
    P: Place<Res>,
    E: Place<Err>,
{
    type Output = Result<P::Stamped, E::Stamped>;

    // What is rare is kept out of here, so that what remains costs less than calling it would.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _trail = this.scope.enter();
        const DONE: &str = "polled after completion";
        let mark = context::mark();
        // Nothing until the stamp is put on it has to drop it: so it need not be kept in memory.
        let polled = ManuallyDrop::new(this.inner.poll(cx));
        let stamp = this.stamp;
        // Also while the service is yet to answer: a layer further out would name it otherwise.
        if context::mark() != mark {
            name_since(mark, stamp.as_deref());
        }
        match ManuallyDrop::into_inner(polled) {
            Poll::Ready(Ok(response)) => {
                let stamp = || with_trail(stamp.take().expect(DONE));
                Poll::Ready(Ok(this.place.put(response, stamp)))
            }
            Poll::Ready(Err(error)) => {
                let stamp = || with_trail(stamp.take().expect(DONE));
                Poll::Ready(Err(this.errors.put(error, stamp)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cold]
fn name_since(mark: Mark, stamp: Option<&Stamped>) {
    if let Some(stamp) = stamp {
        context::name_since(mark, &stamp.name);
    }
}

/// The stamp, with what has failed on the way until now.
#[inline]
pub(crate) fn with_trail(stamp: Arc<Stamped>) -> ServedBy {
    if context::has_failed() {
        of_a_failure(stamp)
    } else {
        stamp.into()
    }
}

#[cold]
fn of_a_failure(stamp: Arc<Stamped>) -> ServedBy {
    let mut stamp = ServedBy::from(stamp);
    stamp.trail = context::trail();
    stamp
}
