//! The slots, carried over to another task.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{Entered, InDeadline, alternatives, attempt, deadline};
use crate::Deadline;

/// The deadline, the alternatives and the attempt mark of the current call, to be carried over to
/// another task.
///
/// ```
/// use backstop_core::context::Captured;
///
/// # async fn work() {}
/// # async fn example() {
/// let captured = Captured::now();
/// let task = tokio::spawn(captured.carry(work()));
/// # task.await.unwrap();
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Captured {
    deadline: Option<Deadline>,
    alternatives: bool,
    attempt: u32,
}

impl Captured {
    /// What the current call carries now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            deadline: deadline(),
            alternatives: alternatives(),
            attempt: attempt(),
        }
    }

    /// Runs `f` with the slots filled as they were when captured.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _deadline = InDeadline::new(self.deadline);
        let _alternatives = Entered::new(|slots| &slots.alternatives, self.alternatives);
        let _attempt = Entered::new(|slots| &slots.attempt, self.attempt);
        f()
    }

    /// A future whose every poll has the slots filled as they were when captured.
    pub fn carry<F: Future>(self, inner: F) -> Carried<F> {
        Carried {
            inner,
            captured: self,
        }
    }
}

pin_project! {
    /// A future made by [`Captured::carry`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Carried<F> {
        #[pin]
        inner: F,
        captured: Captured,
    }
}

impl<F: Future> Future for Carried<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.captured.run(|| this.inner.poll(cx))
    }
}
