use std::{fmt, pin::Pin};

use backstop_core::{Completes, End, Watch};
use tokio::time::Instant;

use crate::{Listener, permit::Ticket};

/// The watch that the circuit breaker attaches to a response's tail: tells the circuit how that
/// ended. A tail that is dropped before its end is neutral.
pub struct TailGuard<L: Listener = ()> {
    /// Gone where the response itself has settled the matter.
    ticket: Option<Ticket<L>>,
}

impl<L: Listener> TailGuard<L> {
    #[inline]
    pub(crate) const fn new(ticket: Ticket<L>) -> Self {
        Self {
            ticket: Some(ticket),
        }
    }

    #[inline]
    pub(crate) const fn idle() -> Self {
        Self { ticket: None }
    }

    #[inline]
    fn succeed(mut self) {
        if let Some(mut ticket) = self.ticket.take() {
            ticket.succeed(Instant::now);
        }
    }
}

impl<L: Listener> Completes for TailGuard<L> {
    #[inline]
    fn completed(self) {
        self.succeed();
    }
}

impl<E, L: Listener> Watch<E> for TailGuard<L> {
    fn on_end(self: Pin<&mut Self>, end: End) {
        let Some(mut ticket) = self.get_mut().ticket.take() else {
            return;
        };
        match end {
            End::Completed => ticket.succeed(Instant::now),
            End::Failed(fault) => ticket.fail(&fault, Instant::now()),
            _ => ticket.ignore(Instant::now),
        }
    }
}

impl<L: Listener> fmt::Debug for TailGuard<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailGuard").finish_non_exhaustive()
    }
}
