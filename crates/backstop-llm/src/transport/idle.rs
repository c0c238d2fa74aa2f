//! Connections that nobody uses at the moment.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::{
    connection::{Connection, Lease},
    http1::Http1,
    http2::Http2,
};

/// Connections that nobody uses at the moment, or that many can use at a time.
///
/// A connection is bound to the runtime that it was made on: another may be gone before it, and
/// would have to be woken for each byte. So each runtime has its own.
pub(super) struct Idle {
    timeout: Duration,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    runtimes: Vec<(Id, Kept)>,
    /// What closes those that are not used again.
    reaper: Option<AbortHandle>,
}

#[derive(Default)]
struct Kept {
    /// The one used last is the last, and the first to be used again.
    resting: Vec<(Box<Http1>, Instant)>,
    /// Used from the first, so that those beyond what is needed are closed after a while.
    shared: Vec<(Http2, Instant)>,
}

impl Idle {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            inner: Mutex::default(),
        }
    }

    /// A connection that can be used now, if there is one.
    pub(super) fn take(self: &Arc<Self>) -> Option<Connection> {
        let runtime = Handle::current().id();
        loop {
            let (mut http1, since) = {
                let mut inner = self.lock();
                let kept = inner.of(runtime);
                kept.forget_shared(self.timeout);
                if let Some((http2, used)) = kept.shared.iter_mut().find(|it| it.0.has_room()) {
                    *used = Instant::now();
                    return Some(Connection::Http2(http2.stream()));
                }
                kept.resting.pop()?
            };
            if since.elapsed() < self.timeout && http1.rests() {
                return Some(Connection::Http1(Lease::new(http1, runtime, self)));
            }
        }
    }

    /// Keeps a connection that rests.
    pub(super) fn put(self: &Arc<Self>, http1: Box<Http1>, runtime: Id) {
        let mut inner = self.lock();
        inner.of(runtime).resting.push((http1, Instant::now()));
        self.reap(&mut inner);
    }

    /// Lets other requests of this runtime use the connection too.
    pub(super) fn share(self: &Arc<Self>, http2: Http2) {
        let runtime = Handle::current().id();
        let mut inner = self.lock();
        inner.of(runtime).shared.push((http2, Instant::now()));
        self.reap(&mut inner);
    }

    /// Closes connections that nobody uses again, until there are none.
    fn reap(self: &Arc<Self>, inner: &mut Inner) {
        let reaps = inner.reaper.as_ref().is_some_and(|it| !it.is_finished());
        let Some(runtime) = Handle::try_current().ok().filter(|_| !reaps) else {
            return;
        };
        let (timeout, idle) = (self.timeout, Arc::downgrade(self));
        let reaper = runtime.spawn(async move {
            loop {
                sleep(timeout).await;
                let Some(idle) = idle.upgrade() else { return };
                if !idle.close_old() {
                    return;
                }
            }
        });
        inner.reaper = Some(reaper.abort_handle());
    }

    /// Says whether any are left.
    fn close_old(&self) -> bool {
        let mut inner = self.lock();
        for (_, kept) in &mut inner.runtimes {
            kept.resting
                .retain_mut(|(http1, since)| since.elapsed() < self.timeout && http1.rests());
            kept.forget_shared(self.timeout);
        }
        inner
            .runtimes
            .retain(|(_, kept)| !kept.resting.is_empty() || !kept.shared.is_empty());
        let left = !inner.runtimes.is_empty();
        if !left {
            inner.reaper = None;
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Lets go of shared connections that are closed, or were not used for so long.
    fn forget_shared(&mut self, timeout: Duration) {
        self.shared
            .retain(|(http2, used)| !http2.is_closed() && used.elapsed() < timeout);
    }
}

impl Inner {
    fn of(&mut self, runtime: Id) -> &mut Kept {
        let known = self.runtimes.iter().position(|(id, _)| *id == runtime);
        let place = known.unwrap_or_else(|| {
            self.runtimes.push((runtime, Kept::default()));
            self.runtimes.len() - 1
        });
        &mut self.runtimes[place].1
    }
}
