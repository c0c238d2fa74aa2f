//! The clock that runs while a service is not ready.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{Deadline, Timer};
use tokio::time::Instant;

/// How long the caller of one clone of a service has been waiting for it to be ready: nothing,
/// until it has to wait for the first time.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Option<Box<Waiting>>);

impl Readiness {
    /// The service is not ready: is it time to give up on it?
    pub(crate) fn poll_elapsed(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_or_insert_default().poll_elapsed(limit, cx)
    }

    /// The service is ready after all.
    #[inline]
    pub(crate) fn ready(&mut self) {
        if let Some(waiting) = &mut self.0 {
            waiting.ready();
        }
    }

    /// Begins a call: how long the caller waited for it, if at all, or, as an error, how long it
    /// waited until that was too long.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Result<Duration, Duration>> {
        self.0.as_mut()?.take()
    }
}

#[derive(Debug, Default)]
struct Waiting {
    timer: Timer,
    wait: Wait,
}

#[derive(Clone, Copy, Debug, Default)]
enum Wait {
    /// Nobody had to wait.
    #[default]
    None,
    /// Someone waits.
    Since(Instant),
    /// Someone waited this long, and then the service was ready.
    For(Duration),
    /// Someone waits since then, and it has been too long.
    TooLong { since: Instant, waited: Duration },
}

impl Waiting {
    fn poll_elapsed(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let (since, now) = match self.wait {
            Wait::TooLong { .. } => return Poll::Ready(()),
            Wait::Since(since) => (since, Instant::now()),
            Wait::None | Wait::For(_) => {
                let now = Instant::now();
                let until = Deadline::after(now, limit).instant();
                self.timer.set(until);
                self.wait = Wait::Since(now);
                (now, now)
            }
        };
        let timer = self.timer.poll(cx);
        // The clock decides, and not the timer: a service that uses up the task's cooperative
        // budget at every poll would keep the timer pending for ever.
        let waited = now.saturating_duration_since(since);
        if timer.is_pending() && waited < limit {
            return Poll::Pending;
        }
        let waited = waited.max(limit);
        self.timer = Timer::new();
        self.wait = Wait::TooLong { since, waited };
        Poll::Ready(())
    }

    #[cold]
    fn ready(&mut self) {
        match self.wait {
            Wait::None | Wait::For(_) => {}
            Wait::Since(since) | Wait::TooLong { since, .. } => {
                // Nobody waits any more, and the next wait may be in another runtime.
                self.timer = Timer::new();
                self.wait = Wait::For(Instant::now().saturating_duration_since(since));
            }
        }
    }

    #[inline]
    fn take(&mut self) -> Option<Result<Duration, Duration>> {
        match std::mem::take(&mut self.wait) {
            Wait::None | Wait::Since(_) => None,
            Wait::For(waited) => Some(Ok(waited)),
            Wait::TooLong { waited, .. } => Some(Err(waited)),
        }
    }
}
