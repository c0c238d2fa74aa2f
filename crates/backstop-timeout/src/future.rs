//! The future of [`Timeout`](crate::Timeout).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{Deadline, Elapsed, Fault, FaultKind, Tail, context};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{Pace, Paced, cut::Cut};

pin_project! {
    /// The future of [`Timeout`](crate::Timeout).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, T: Paced> {
        #[pin]
        state: State<F, T::Items>,
        tail: T,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F, I> {
        /// The service has been called.
        Called {
            #[pin]
            response: F,
            // Made when the response is first found pending: most of a timer's cost is in being
            // registered, and a response that is ready at once needs none.
            #[pin]
            timer: Option<Sleep>,
            scope: context::Scope,
            cut: Option<Cut>,
            items: I,
        },
        /// A limit ran out before the service could be called.
        Refused { error: Option<Elapsed> },
        /// A limit ran out, and the service's future has been dropped.
        Cut,
    }
}

impl<F, T: Paced> ResponseFuture<F, T> {
    #[inline]
    pub(crate) const fn new(
        response: F,
        scope: context::Scope,
        cut: Option<Cut>,
        items: T::Items,
        tail: T,
    ) -> Self {
        Self {
            state: State::Called {
                response,
                timer: None,
                scope,
                cut,
                items,
            },
            tail,
        }
    }

    pub(crate) const fn refused(error: Elapsed, tail: T) -> Self {
        Self {
            state: State::Refused { error: Some(error) },
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
        let (elapsed, deadline) = match this.state.as_mut().project() {
            StateProj::Called {
                response,
                timer,
                scope,
                cut,
                items,
            } => {
                let _trail = scope.enter();
                let polled = {
                    let _time = cut.as_mut().map(|cut| cut.due.enter());
                    response.poll(cx)
                };
                // The response first: one that is ready at the limit wins.
                let error = match polled {
                    Poll::Ready(Ok(response)) => {
                        return Poll::Ready(Ok(this.tail.attach(response, T::pace(*items))));
                    }
                    Poll::Ready(Err(error)) => Some(error),
                    Poll::Pending => None,
                };
                let Some(Cut { due, limit }) = cut else {
                    return error.map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                };
                let deadline = match error {
                    Some(error) => match due.deadline() {
                        Some(deadline) if time_is_up(deadline) => deadline,
                        _ => return Poll::Ready(Err(error)),
                    },
                    None => {
                        let deadline = due.place();
                        ready!(poll_timer(timer, deadline.instant(), cx));
                        deadline
                    }
                };
                let late = Instant::now().saturating_duration_since(deadline.instant());
                let after = due.limit().saturating_add(late);
                (
                    Elapsed::new(*limit, after).with_trail(context::trail()),
                    Some(deadline),
                )
            }
            StateProj::Refused { error } => (error.take().expect("polled after completion"), None),
            StateProj::Cut => panic!("polled after completion"),
        };
        // Whatever the service holds is given back before its caller hears of it, and it can see
        // that it is dropped because its time is up.
        {
            let _deadline = deadline.map(context::enter_deadline);
            this.state.set(State::Cut);
        }
        context::leave_fault(elapsed.fault());
        Poll::Ready(Err(elapsed.into()))
    }
}

/// Whether an error is no more than a layer further in saying that the time is up: then this
/// limit is what ran out, and its error can tell what had been tried.
fn time_is_up(deadline: Deadline) -> bool {
    let out_of_time =
        |fault: Fault| matches!(fault.kind(), FaultKind::TimedOut | FaultKind::Refused);
    context::fault().is_some_and(out_of_time) && deadline.has_passed(Instant::now())
}

/// Waits for `until`, from the first time that there is something to wait for.
fn poll_timer(
    mut timer: Pin<&mut Option<Sleep>>,
    until: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
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
