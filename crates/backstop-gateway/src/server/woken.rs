//! A call that is polled only when something has come that it waits for.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A future that is polled only when it has been woken, and not whenever who holds it is.
///
/// A connection polls the call that it answers each time it is polled itself, which reading the
/// request's body alone makes happen once more than there is anything to do. To find all layers of
/// a call still waiting takes as long as some of them take for all that they do.
pub(super) struct WhenWoken<F> {
    /// Boxed, so that a connection takes no room for it before and after.
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
}

/// What the future is woken by.
struct Bell {
    rung: AtomicBool,
    holder: Mutex<Waker>,
}

impl<F> WhenWoken<F> {
    pub(super) fn new(future: F) -> Self {
        let bell = Bell {
            rung: AtomicBool::new(true),
            holder: Mutex::new(Waker::noop().clone()),
        };
        Self {
            future: Box::pin(future),
            bell: Arc::new(bell),
        }
    }
}

impl<F: Future> Future for WhenWoken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Before the bell is looked at: who rings it from then on wakes this holder.
        self.bell.holder().clone_from(cx.waker());
        if !self.bell.rung.swap(false, Ordering::Relaxed) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.bell));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Bell {
    fn holder(&self) -> MutexGuard<'_, Waker> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The lock orders it for whoever polls next.
        self.rung.store(true, Ordering::Relaxed);
        let holder = self.holder().clone();
        holder.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn};

    use tokio::sync::Notify;
    use tokio_test::task::spawn;

    use super::*;

    #[test]
    fn what_waits_is_polled_once_for_each_time_it_is_woken() {
        let (polled, come) = (Cell::new(0), Notify::new());
        let waiting = async {
            let mut come = Box::pin(come.notified());
            poll_fn(|cx| {
                polled.set(polled.get() + 1);
                come.as_mut().poll(cx)
            })
            .await;
        };
        let mut call = spawn(WhenWoken::new(waiting));
        for _ in 0..3 {
            assert!(call.poll().is_pending());
        }
        assert_eq!(polled.get(), 1);
        assert!(!call.is_woken());
        come.notify_waiters();
        assert!(call.is_woken());
        assert!(call.poll().is_ready());
        assert_eq!(polled.get(), 2);
    }

    #[test]
    fn who_holds_it_last_is_woken() {
        let come = Notify::new();
        let mut call = Box::pin(WhenWoken::new(come.notified()));
        let mut first = spawn(poll_fn(|cx| call.as_mut().poll(cx)));
        assert!(first.poll().is_pending());
        drop(first);
        let mut second = spawn(poll_fn(|cx| call.as_mut().poll(cx)));
        assert!(second.poll().is_pending());
        come.notify_waiters();
        assert!(second.is_woken());
        assert!(second.poll().is_ready());
    }
}
