//! The future of [`Timeout`](crate::Timeout).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{
    Deadline, Elapsed, Fault, FaultKind, Tail, Timer, Trail,
    context::{self, Due},
};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::{Pace, Paced, cut::Cut};

pin_project! {
    /// The future of [`Timeout`](crate::Timeout).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, T: Paced> {
        // None until the service is called, which it never is where a limit ran out before that,
        // and once a limit has run out.
        #[pin]
        pub(crate) response: Option<F>,
        // Set when the response is first found pending: a response that is ready at once needs
        // none.
        timer: Timer,
        pub(crate) cut: Cut,
        pub(crate) items: T::Items,
        tail: T,
    }
}

impl<F, T: Paced> ResponseFuture<F, T> {
    #[inline]
    pub(crate) const fn new(response: Option<F>, cut: Cut, items: T::Items, tail: T) -> Self {
        Self {
            response,
            timer: Timer::new(),
            cut,
            items,
            tail,
        }
    }
}

impl<F, T, Res, E> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<Res, E>>,
    E: From<Elapsed>,
    T: Paced + Tail<Res, Pace>,
{
    type Output = Result<T::Response, E>;

    // What is rare is kept out of here, so that what remains costs less than calling it would.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(response) = this.response.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(elapsed(this.cut, context::trail())));
        };
        context::begin_poll();
        let polled = {
            let _time = this.cut.due.enter();
            response.poll(cx)
        };
        // The response first: one that is ready at the limit wins.
        match polled {
            Poll::Ready(Ok(response)) => {
                return Poll::Ready(Ok(this.tail.attach(response, T::pace(*this.items))));
            }
            Poll::Ready(Err(error)) => {
                if !time_is_up(this.cut) {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Pending => ready!(poll_timer(this.timer, &mut this.cut.due, cx)),
        }
        Poll::Ready(Err(cut_short(this.response, this.cut)))
    }
}

/// The error of the limit that ran out, once the call has been dropped.
#[cold]
#[inline(never)]
fn cut_short<F, E: From<Elapsed>>(mut response: Pin<&mut Option<F>>, cut: &mut Cut) -> E {
    // Whatever the service holds is given back before its caller hears of it, and it can see
    // that it is dropped because its time is up.
    let trail = context::trail_of_dropped(|| {
        let _time = cut.due.enter();
        response.set(None);
    });
    elapsed(cut, trail)
}

/// The error of the limit that ran out.
#[cold]
fn elapsed<E: From<Elapsed>>(cut: &Cut, trail: Trail) -> E {
    let elapsed = cut.elapsed().with_trail(trail);
    context::leave_fault(elapsed.fault());
    elapsed.into()
}

/// Whether an error is no more than a layer further in saying that the time is up: then this
/// limit is what ran out, and its error can tell what had been tried.
fn time_is_up(cut: &Cut) -> bool {
    let out_of_time =
        |fault: Fault| matches!(fault.kind(), FaultKind::TimedOut | FaultKind::Refused);
    let has_passed = |deadline: Deadline| deadline.has_passed(Instant::now());
    context::fault().is_some_and(out_of_time) && cut.due.deadline().is_some_and(has_passed)
}

/// Waits until it is due, from the first time that there is something to wait for.
fn poll_timer(timer: &mut Timer, due: &mut Due, cx: &mut Context<'_>) -> Poll<()> {
    let Some(deadline) = due.place(context::paused_at) else {
        return Poll::Pending;
    };
    let until = deadline.instant();
    if timer.is_set() {
        return ready_or_past(timer.poll(cx), until);
    }
    timer.start(until, cx)
}

/// A service that uses up the task's cooperative budget at every poll leaves none for the timer,
/// which then stays pending: the clock has the last word.
fn ready_or_past(timer: Poll<()>, until: Instant) -> Poll<()> {
    if timer.is_pending() && Instant::now() < until {
        Poll::Pending
    } else {
        Poll::Ready(())
    }
}
