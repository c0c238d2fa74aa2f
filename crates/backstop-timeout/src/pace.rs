//! The clock that runs while someone waits for the next item of a response's tail.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{Completes, Deadline, Elapsed, End, Limit, Watch, context};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::Limits;

pin_project! {
    /// The watch that the timeout layer attaches to a response's tail.
    #[derive(Debug)]
    pub struct Pace {
        #[pin]
        timer: Option<Sleep>,
        items: Items,
        wait: Wait,
    }
}

/// What the timer is set to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// Nobody has waited for the first item yet.
    First,
    /// Nobody has waited for the next item yet.
    Next,
    /// Someone waits, since then, until then.
    Waiting {
        since: Instant,
        until: Instant,
        limit: Limit,
    },
}

/// What limits the items of a tail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items {
    /// When the call began.
    pub(crate) start: Instant,
    first: Option<Duration>,
    idle: Option<Duration>,
    total: Option<Deadline>,
}

impl Items {
    #[inline]
    pub(crate) const fn new(limits: Limits, total: Option<Deadline>, start: Instant) -> Self {
        Self {
            start,
            first: limits.first_item,
            idle: limits.idle,
            total,
        }
    }
}

impl Pace {
    #[inline]
    pub(crate) const fn new(items: Items) -> Self {
        Self {
            timer: None,
            items,
            wait: Wait::First,
        }
    }
}

impl Completes for Pace {
    #[inline]
    fn completed(self) {}
}

impl<E: From<Elapsed>> Watch<E> for Pace {
    fn poll_cut(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        let mut this = self.project();
        let (since, until, limit) = match *this.wait {
            Wait::Waiting {
                since,
                until,
                limit,
            } => (since, until, limit),
            wait => {
                let now = Instant::now();
                let (item, limit) = match wait {
                    Wait::First => (this.items.first, Limit::FirstItem),
                    _ => (this.items.idle, Limit::Idle),
                };
                let item = item.map(|item| Deadline::after(now, item));
                let (since, deadline, limit) = match (item, this.items.total) {
                    (None, None) => return Poll::Pending,
                    (Some(item), total) if total.is_none_or(|total| item < total) => {
                        (now, item, limit)
                    }
                    (_, total) => (
                        this.items.start,
                        total.unwrap_or(Deadline::at(now)),
                        Limit::Total,
                    ),
                };
                let until = deadline.instant();
                match this.timer.as_mut().as_pin_mut() {
                    Some(timer) => timer.reset(until),
                    None => this.timer.set(Some(sleep_until(until))),
                }
                *this.wait = Wait::Waiting {
                    since,
                    until,
                    limit,
                };
                (since, until, limit)
            }
        };
        let timer = this
            .timer
            .as_pin_mut()
            .map_or(Poll::Pending, |timer| timer.poll(cx));
        // The clock has the last word: a tail that uses up the task's cooperative budget at every
        // poll leaves none for the timer.
        let now = Instant::now();
        if timer.is_pending() && now < until {
            return Poll::Pending;
        }
        let elapsed = Elapsed::new(limit, now.saturating_duration_since(since));
        context::leave_fault(elapsed.fault());
        Poll::Ready(elapsed.into())
    }

    fn around<R>(self: Pin<&mut Self>, poll: impl FnOnce() -> R) -> R {
        let _deadline = self.items.total.map(context::enter_deadline);
        poll()
    }

    fn on_item(self: Pin<&mut Self>) {
        *self.project().wait = Wait::Next;
    }

    fn on_end(self: Pin<&mut Self>, _: End) {}
}
