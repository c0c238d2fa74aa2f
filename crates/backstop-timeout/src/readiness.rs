//! The clock that runs while a service is not ready.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// How long the caller of one clone of a service has been waiting for it to be ready.
///
/// The timer is boxed, once, and used again: a service must stay `Unpin` for its callers.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    timer: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
    waited: Duration,
    elapsed: bool,
}

impl Readiness {
    /// The service is not ready: is it time to give up on it?
    pub(crate) fn poll_elapsed(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if self.elapsed {
            return Poll::Ready(());
        }
        let now = Instant::now();
        let started = self.since.is_some();
        let since = *self.since.get_or_insert(now);
        let waited = now.saturating_duration_since(since);
        // The clock decides, and not the timer: a service that uses up the task's cooperative
        // budget at every poll would keep the timer pending for ever.
        if waited < limit {
            let left = limit.saturating_sub(waited);
            let timer = match &mut self.timer {
                Some(timer) if started => timer,
                Some(timer) => {
                    timer.as_mut().reset(tokio_deadline(now, left));
                    timer
                }
                none => none.insert(Box::pin(tokio::time::sleep(left))),
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.waited = waited.max(limit);
        self.elapsed = true;
        Poll::Ready(())
    }

    /// The service is ready after all.
    #[inline]
    pub(crate) fn ready(&mut self) {
        self.elapsed = false;
        if let Some(since) = self.since.take() {
            self.waited = Instant::now().saturating_duration_since(since);
        }
    }

    /// Begins a call: how long the caller waited for it, and whether that was too long.
    #[inline]
    pub(crate) fn take(&mut self) -> (Duration, bool) {
        self.since = None;
        (
            std::mem::take(&mut self.waited),
            std::mem::take(&mut self.elapsed),
        )
    }
}

/// `now + left`, for any `left`.
fn tokio_deadline(now: Instant, left: Duration) -> Instant {
    backstop_core::Deadline::after(now, left).instant()
}
