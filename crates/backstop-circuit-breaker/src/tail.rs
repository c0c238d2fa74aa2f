use std::{fmt, pin::Pin};

use backstop_core::{Completes, End, Watch};
use tokio::time::Instant;

use crate::{Listener, ticket::Ticket};

/// The watch that the circuit breaker attaches to a response's tail: tells the circuit how that
/// ended. A tail that is dropped before its end is neutral.
pub struct TailGuard<L: Listener = ()> {
    /// Settled already where the response itself has failed.
    ticket: Ticket<L>,
}

impl<L: Listener> TailGuard<L> {
    #[inline]
    pub(crate) const fn new(ticket: Ticket<L>) -> Self {
        Self { ticket }
    }

    /// There is nothing more to tell.
    pub(crate) const fn settled() -> Self {
        Self::new(Ticket::settled())
    }
}

impl<L: Listener> Completes for TailGuard<L> {
    #[inline(always)]
    fn completed(self) {
        self.ticket.succeed(Instant::now);
    }
}

impl<E, L: Listener> Watch<E> for TailGuard<L> {
    fn on_end(self: Pin<&mut Self>, end: End) {
        let ticket = &mut self.get_mut().ticket;
        match end {
            End::Completed => ticket.take().succeed(Instant::now),
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
