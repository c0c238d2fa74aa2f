use std::fmt;

use backstop_core::{Deadline, Fault, FaultKind, Open, Verdict, context};
use tokio::time::Instant;

use crate::{
    Listener,
    breaker::Shared,
    sync::Arc,
    token::{Outcome, Token},
};

/// What a call holds while it is under way: its place in the circuit, until it is given up, or why
/// it has none.
pub(crate) struct Ticket<L: Listener> {
    /// None once the matter is settled.
    shared: Option<Arc<Shared<L>>>,
    token: Token,
    /// When the call's time is up.
    deadline: Option<Deadline>,
}

impl<L: Listener> Ticket<L> {
    #[inline]
    pub(crate) fn new(shared: &Arc<Shared<L>>, token: Token) -> Self {
        Self {
            shared: Some(Arc::clone(shared)),
            token,
            deadline: None,
        }
    }

    /// A ticket for nothing.
    pub(crate) const fn settled() -> Self {
        Self {
            shared: None,
            token: Token::plain(0),
            deadline: None,
        }
    }

    /// The call's time is up by then. The first such instant holds.
    pub(crate) fn due(&mut self, deadline: Option<Deadline>) {
        self.deadline = self.deadline.or(deadline);
    }

    /// Takes the ticket out of its place, for the tail of the call.
    #[inline]
    pub(crate) fn commit(&mut self, now: impl FnOnce() -> Instant) -> Self {
        if !self.token.is_simple() {
            self.commit_at(now());
        }
        Self {
            shared: self.shared.take(),
            token: self.token,
            deadline: None,
        }
    }

    fn commit_at(&mut self, now: Instant) {
        if let Some(shared) = &self.shared {
            self.token = shared.machine.commit(self.token, shared.tick(now));
            shared.deliver();
        }
    }

    // The ticket is consumed on the spot, so that it need never be written to memory.
    #[inline(always)]
    pub(crate) fn succeed(mut self, now: impl FnOnce() -> Instant) {
        let (shared, token) = (self.shared.take(), self.token);
        std::mem::forget(self);
        if let Some(shared) = shared {
            shared.succeed(token, now);
        }
    }

    /// Takes the ticket out of its place.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            shared: self.shared.take(),
            ..*self
        }
    }

    pub(crate) fn fail(&mut self, fault: &Fault, now: Instant) {
        if let Some(shared) = self.shared.take() {
            shared.machine.fail(self.token, fault, shared.tick(now));
            shared.deliver();
        }
    }

    #[inline(never)]
    pub(crate) fn settle(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Success => self.take().succeed(Instant::now),
            Verdict::Failure(fault) => self.fail(fault, Instant::now()),
            _ => self.ignore(Instant::now),
        }
    }

    pub(crate) fn ignore(&mut self, now: impl FnOnce() -> Instant) {
        self.end(Outcome::Neutral, now);
    }

    /// The call panicked, which is a failure whatever the policy's sets say.
    pub(crate) fn panicked(&mut self) {
        self.end(Outcome::Failure(0), Instant::now);
    }

    fn end(&mut self, outcome: Outcome, now: impl FnOnce() -> Instant) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        if outcome != Outcome::Neutral || self.token.is_kept() {
            shared
                .machine
                .settle(self.token, outcome, shared.tick(now()));
            shared.deliver();
        }
    }

    /// The error of a call that was refused.
    #[inline]
    pub(crate) fn refuse(&mut self) -> Open {
        let shared = self.shared.take().expect("polled after completion");
        let open = shared.refused(self.token.refusal());
        context::leave_fault(open.fault());
        open
    }

    /// The call has to wait, and may be dropped because its time is up: when that is, is noted. A
    /// call that is answered at once need not know it.
    #[cold]
    #[inline(never)]
    pub(crate) fn wait(&mut self) {
        if self.deadline.is_none() {
            self.due(context::deadline_of_paused());
        }
    }

    /// The call was dropped: neutral, unless its time was up. A tail has no such limit.
    #[cold]
    fn abandon(&mut self) {
        let now = Instant::now();
        if self
            .deadline
            .is_some_and(|deadline| deadline.has_passed(now))
        {
            self.fail(&Fault::new(FaultKind::TimedOut), now);
        } else {
            self.ignore(|| now);
        }
    }
}

impl<L: Listener> Drop for Ticket<L> {
    #[inline]
    fn drop(&mut self) {
        if self.shared.is_some() {
            self.abandon();
        }
    }
}

impl<L: Listener> fmt::Debug for Ticket<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("circuit", &self.shared.as_ref().map(|shared| &shared.name))
            .finish_non_exhaustive()
    }
}
