//! The future of [`Timeout`](crate::Timeout).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use backstop_core::{
    Deadline, Elapsed, Fault, FaultKind, Limit, Tail,
    context::{self, Scope},
};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{Limits, Pace, Paced, cut::Cut};

pin_project! {
    /// The future of [`Timeout`](crate::Timeout).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, T: Paced> {
        // None where a limit ran out before the service could be called, and once one has.
        #[pin]
        response: Option<F>,
        // Made when the response is first found pending: most of a timer's cost is in being
        // registered, and a response that is ready at once needs none.
        #[pin]
        timer: Option<Sleep>,
        scope: Scope,
        cut: Option<Cut>,
        items: T::Items,
        tail: T,
    }
}

impl<F, T: Paced> ResponseFuture<F, T> {
    /// The service has been called.
    #[inline]
    pub(crate) const fn called(
        response: F,
        scope: Scope,
        cut: Option<Cut>,
        items: T::Items,
        tail: T,
    ) -> Self {
        Self {
            response: Some(response),
            timer: None,
            scope,
            cut,
            items,
            tail,
        }
    }

    /// A limit ran out before the service could be called.
    #[cold]
    #[inline(never)]
    pub(crate) fn refused(limit: Limit, waited: Duration, limits: &Limits, tail: T) -> Self {
        Self {
            response: None,
            timer: None,
            scope: Scope::open(),
            cut: Some(Cut::within(waited, limit)),
            items: T::items(limits, None),
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

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _trail = this.scope.enter();
        if let Some(response) = this.response.as_mut().as_pin_mut() {
            let polled = {
                let _time = this.cut.as_mut().map(|cut| cut.due.enter());
                response.poll(cx)
            };
            // The response first: one that is ready at the limit wins.
            match polled {
                Poll::Ready(Ok(response)) => {
                    return Poll::Ready(Ok(this.tail.attach(response, T::pace(*this.items))));
                }
                Poll::Ready(Err(error)) => {
                    if !this.cut.as_ref().is_some_and(time_is_up) {
                        return Poll::Ready(Err(error));
                    }
                }
                Poll::Pending => match this.cut {
                    Some(cut) => ready!(poll_timer(this.timer, cut.due.place(), cx)),
                    None => return Poll::Pending,
                },
            }
            // Whatever the service holds is given back before its caller hears of it, and it can
            // see that it is dropped because its time is up.
            let _time = this.cut.as_mut().map(|cut| cut.due.enter());
            this.response.set(None);
        }
        let elapsed = this.cut.take().expect("polled after completion").elapsed();
        context::leave_fault(elapsed.fault());
        Poll::Ready(Err(elapsed.into()))
    }
}

/// Whether an error is no more than a layer further in saying that the time is up: then this
/// limit is what ran out, and its error can tell what had been tried.
fn time_is_up(cut: &Cut) -> bool {
    let out_of_time =
        |fault: Fault| matches!(fault.kind(), FaultKind::TimedOut | FaultKind::Refused);
    let has_passed = |deadline: Deadline| deadline.has_passed(Instant::now());
    context::fault().is_some_and(out_of_time) && cut.due.deadline().is_some_and(has_passed)
}

/// Waits for `until`, from the first time that there is something to wait for.
fn poll_timer(
    mut timer: Pin<&mut Option<Sleep>>,
    deadline: Deadline,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let until = deadline.instant();
    if let Some(registered) = timer.as_mut().as_pin_mut() {
        ready_or_past(registered.poll(cx), until)
    } else {
        timer.set(Some(sleep_until(until)));
        timer.as_pin_mut().expect("it has just been set").poll(cx)
    }
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
