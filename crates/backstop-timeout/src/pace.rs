//! The clock that runs while someone waits for the next item of a response's tail.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{
    AtOnce, Completes, Deadline, Elapsed, End, Limit, Timer, UntilEnd, Watch,
    context::{self, Due},
};
use tokio::time::Instant;

use crate::Limits;

/// The watch that the timeout layer attaches to a response's tail.
#[derive(Debug)]
pub struct Pace {
    timer: Timer,
    items: Items,
    wait: Wait,
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
#[derive(Clone, Copy, Debug, Default)]
pub struct Items {
    first: Option<Duration>,
    idle: Option<Duration>,
    /// When the call began, and when it must be over.
    total: Option<(Instant, Deadline)>,
}

/// How a strategy for tails is paced: what the future keeps for it until the response is there.
///
/// A response without a tail needs nothing to be kept, and no reading of the clock.
pub trait Paced: Clone {
    /// What is kept.
    type Items: Copy + Default + fmt::Debug;

    /// What to keep of the limits of a request, of which one is `due` first.
    fn items(limits: &Limits, due: &mut Due) -> Self::Items;

    /// The watch on the tail.
    fn pace(items: Self::Items) -> Pace;
}

impl Paced for AtOnce {
    type Items = ();

    #[inline]
    fn items(_: &Limits, _: &mut Due) {}

    #[inline]
    fn pace((): ()) -> Pace {
        Pace::new(Items::default())
    }
}

impl Paced for UntilEnd {
    type Items = Items;

    fn items(limits: &Limits, due: &mut Due) -> Items {
        let now = context::now();
        let total = limits.total.map(|total| Deadline::after(now, total));
        let outer = [limits.deadline, context::deadline()];
        let total = outer.into_iter().flatten().chain(total).min();
        // The wait for the response and its tail are one call, on one clock.
        due.place(|| now);
        Items {
            first: limits.first_item,
            idle: limits.idle,
            total: total.map(|total| (now, total)),
        }
    }

    fn pace(items: Items) -> Pace {
        Pace::new(items)
    }
}

impl Pace {
    #[inline]
    const fn new(items: Items) -> Self {
        Self {
            timer: Timer::new(),
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
        let this = self.get_mut();
        let (since, until, limit) = match this.wait {
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
                    (Some(item), total) if total.is_none_or(|(_, total)| item < total) => {
                        (now, item, limit)
                    }
                    (_, Some((start, total))) => (start, total, Limit::Total),
                    (Some(item), None) => (now, item, limit),
                };
                let until = deadline.instant();
                this.timer.set(until);
                this.wait = Wait::Waiting {
                    since,
                    until,
                    limit,
                };
                (since, until, limit)
            }
        };
        let timer = this.timer.poll(cx);
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
        let _deadline = self
            .items
            .total
            .map(|(_, total)| context::enter_deadline(total));
        poll()
    }

    fn on_item(self: Pin<&mut Self>) {
        self.get_mut().wait = Wait::Next;
    }

    fn on_end(self: Pin<&mut Self>, _: End) {}
}
