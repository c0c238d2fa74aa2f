//! The future of [`Chaos`](crate::Chaos).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use crate::{Mishap, mishap::Then};

pin_project! {
    /// The future of [`Chaos`](crate::Chaos).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, Res, E> {
        #[pin]
        wait: Option<Sleep>,
        #[pin]
        outcome: Outcome<F, Res, E>,
    }
}

pin_project! {
    #[project = OutcomeProj]
    enum Outcome<F, Res, E> {
        /// The service's own, and what befalls it.
        Called { #[pin] inner: F, mishap: Option<Mishap<Res, E>> },
        /// What comes in its place.
        Instead { mishap: Mishap<Res, E> },
    }
}

impl<F, Res, E> ResponseFuture<F, Res, E> {
    pub(crate) const fn called(inner: F) -> Self {
        Self {
            wait: None,
            outcome: Outcome::Called {
                inner,
                mishap: None,
            },
        }
    }

    /// The same, with this befalling what comes of it.
    pub(crate) fn befallen(mut self, by: &Mishap<Res, E>) -> Self {
        self = self.after(by.wait);
        if let Outcome::Called { mishap, .. } = &mut self.outcome {
            *mishap = Some(by.clone());
        }
        self
    }

    pub(crate) fn instead(mishap: &Mishap<Res, E>) -> Self {
        let instead = Self {
            wait: None,
            outcome: Outcome::Instead {
                mishap: mishap.clone(),
            },
        };
        instead.after(mishap.wait)
    }

    fn after(mut self, wait: Duration) -> Self {
        self.wait = (!wait.is_zero()).then(|| sleep(wait));
        self
    }
}

impl<F, Res, E> fmt::Debug for ResponseFuture<F, Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, Res, E> Future for ResponseFuture<F, Res, E>
where
    F: Future<Output = Result<Res, E>>,
{
    type Output = Result<Res, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(wait) = this.wait.as_mut().as_pin_mut() {
            ready!(wait.poll(cx));
            this.wait.set(None);
        }
        match this.outcome.project() {
            OutcomeProj::Called { inner, mishap } => {
                let result = ready!(inner.poll(cx));
                Poll::Ready(match mishap.as_ref().map(|mishap| &mishap.then) {
                    Some(Then::Spoil(spoil)) => result.and_then(|response| spoil(response)),
                    _ => result,
                })
            }
            OutcomeProj::Instead { mishap } => match &mishap.then {
                Then::Answer(make) => Poll::Ready(make()),
                // Nobody wakes it again: that is what it is for.
                Then::Call | Then::Spoil(_) | Then::Hang => Poll::Pending,
            },
        }
    }
}
