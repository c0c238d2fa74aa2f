use std::fmt;

use backstop_core::{Fault, Verdict};
use tokio::time::Instant;

use crate::{Listener, ticket::Ticket};

/// Leave to make one call.
///
/// What came of the call is told once, by the methods that take the permit. A permit that is
/// dropped without a word is neutral, as the caller has left: it moves nothing and gives a probe's
/// place back. Two ways of being dropped are failures: at or after the call's deadline, as the
/// service then was out of time; and by a panic that the call itself caused.
///
/// ```compile_fail
/// # use backstop_circuit_breaker::{FaultKind, Policy};
/// let permit = Policy::new().breaker("database").try_acquire().unwrap();
/// permit.success();
/// permit.failure(FaultKind::Connect); // the permit is gone
/// ```
#[must_use = "a permit that is dropped counts as a call whose caller has left"]
pub struct Permit<L: Listener = ()> {
    ticket: Ticket<L>,
    /// A panic that was under way when the call began is none of its own.
    panicking: bool,
}

impl<L: Listener> Permit<L> {
    #[inline]
    pub(crate) fn new(ticket: Ticket<L>) -> Self {
        Self {
            ticket,
            panicking: std::thread::panicking(),
        }
    }

    /// The service did what was asked of it.
    #[inline]
    pub fn success(mut self) {
        self.ticket.take().succeed(Instant::now);
    }

    /// [`success`](Self::success) at this instant.
    pub fn success_at(mut self, now: Instant) {
        self.ticket.take().succeed(|| now);
    }

    /// The service failed. What kind of fault it was decides what that means to the circuit: the
    /// policy's sets say.
    pub fn failure(mut self, fault: impl Into<Fault>) {
        self.ticket.fail(&fault.into(), Instant::now());
    }

    /// [`failure`](Self::failure) at this instant.
    pub fn failure_at(mut self, fault: impl Into<Fault>, now: Instant) {
        self.ticket.fail(&fault.into(), now);
    }

    /// What came of the call says nothing about the service.
    pub fn ignore(mut self) {
        self.ticket.ignore(Instant::now);
    }

    /// [`ignore`](Self::ignore) at this instant.
    pub fn ignore_at(mut self, now: Instant) {
        self.ticket.ignore(|| now);
    }

    /// The verdict of a classifier.
    pub fn verdict(mut self, verdict: Verdict) {
        self.ticket.settle(&verdict);
    }

    /// The response is there, and only its tail is to come: a probe is judged by that, and the
    /// call was slow or was not. What becomes of the tail is told as of any call; to drop the
    /// permit is neutral from now on, whatever the deadline.
    pub fn commit(&mut self) {
        self.ticket = self.ticket.commit(Instant::now);
    }

    /// [`commit`](Self::commit) at this instant.
    pub fn commit_at(&mut self, now: Instant) {
        self.ticket = self.ticket.commit(|| now);
    }
}

impl<L: Listener> Drop for Permit<L> {
    fn drop(&mut self) {
        if !self.panicking && std::thread::panicking() {
            self.ticket.panicked();
        }
    }
}

impl<L: Listener> fmt::Debug for Permit<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}
