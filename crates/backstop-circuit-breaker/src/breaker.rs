use std::{fmt, time::Duration};

use backstop_core::{Fault, Gate, Name, Open, context};
use tokio::{sync::broadcast, time::Instant};

use crate::{
    Listener, Permit, Policy, Transition,
    cold::{Cold, News},
    rules::Rules,
    state::Machine,
    sync::Arc,
    ticket::Ticket,
    token::{Refusal, Token},
};

/// A circuit: asked before a call whether that may be made, told afterwards what came of it.
///
/// [`CircuitBreakerLayer`](crate::CircuitBreakerLayer) does both for a tower service. Without
/// tower it is asked by hand:
///
/// ```
/// use backstop_circuit_breaker::{FaultKind, Open, Policy};
///
/// # fn query() -> Result<u32, std::io::Error> { Ok(7) }
/// # fn main() -> Result<(), Open> {
/// let database = Policy::new().breaker("database");
///
/// let permit = database.try_acquire()?;
/// match query() {
///     Ok(_) => permit.success(),
///     Err(_) => permit.failure(FaultKind::Connect),
/// }
/// # Ok(())
/// # }
/// ```
///
/// It is a handle as well: clones share the circuit, and each can read it and change it. As a
/// [`Gate`] it tells a fallback whether to call the service at all.
///
/// Every question that depends on the time has a twin that is told the time, `try_acquire_at` and
/// so on: for a clock of one's own, and for tests.
pub struct CircuitBreaker<L = ()> {
    pub(crate) shared: Arc<Shared<L>>,
}

// In this order, so that what every call touches is next to the count of handles.
#[repr(C)]
pub(crate) struct Shared<L> {
    pub(crate) machine: Machine,
    pub(crate) name: Name,
    /// What the machine's clock counts from.
    base: Instant,
    listener: L,
}

/// How many transitions a follower may fall behind before it misses some.
const KEPT: usize = 32;

impl<L> Shared<L> {
    /// The machine's reading of an instant. One before the circuit was made is its beginning.
    #[inline]
    pub(crate) fn tick(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.base);
        let seconds = since.as_secs().saturating_mul(1_000_000);
        seconds.saturating_add(u64::from(since.subsec_micros()))
    }

    fn instant(&self, tick: u64) -> Instant {
        let since = Duration::from_micros(tick);
        self.base.checked_add(since).unwrap_or(self.base)
    }

    pub(crate) fn refused(&self, refusal: Refusal) -> Open {
        Open::new(self.name.clone(), refusal.reason, refusal.wait())
    }

    pub(crate) fn follow(&self) -> broadcast::Receiver<Transition> {
        let followers = &mut self.machine.cold().followers;
        let sender = || broadcast::channel(KEPT).0;
        followers.get_or_insert_with(sender).subscribe()
    }
}

impl<L: Listener> Shared<L> {
    /// Tells what there is to tell, outside the lock and in order.
    #[inline]
    pub(crate) fn deliver(&self) {
        if self.machine.has_news() {
            self.tell();
        }
    }

    #[cold]
    fn tell(&self) {
        let Some(mut turn) = self.machine.take_turn() else {
            return;
        };
        while let Some(news) = turn.next() {
            match news {
                News::Change(change) => {
                    let transition = Transition {
                        from: change.from,
                        to: change.to,
                        cause: change.cause,
                        generation: change.generation,
                        wait: change.wait.map(Duration::from_micros),
                        at: self.instant(change.at),
                    };
                    let followers = self.machine.cold().followers.clone();
                    if let Some(followers) = followers {
                        // An error means that nobody follows any more.
                        let _ = followers.send(transition);
                    }
                    self.listener.on_transition(&self.name, &transition);
                }
                News::Exceeded(cause) => self.listener.on_exceeded(&self.name, cause),
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn admit_at(&self, now: Instant) -> Token {
        let admitted = self.machine.admit_at(self.tick(now));
        self.deliver();
        admitted.unwrap_or_else(|refusal| self.refuse(refusal))
    }

    /// Counts a refused call.
    #[inline]
    pub(crate) fn refuse(&self, refusal: Refusal) -> Token {
        self.machine.count_refused();
        self.listener.on_refused(&self.name, refusal.reason);
        Token::refused(refusal)
    }

    #[inline]
    pub(crate) fn succeed(&self, token: Token, now: impl FnOnce() -> Instant) {
        if !self.machine.succeed(token) {
            self.succeed_at(token, now());
        }
    }

    #[inline(never)]
    fn succeed_at(&self, token: Token, now: Instant) {
        self.machine.succeed_at(token, self.tick(now));
        self.deliver();
    }
}

impl<L: Listener> CircuitBreaker<L> {
    pub(crate) fn new(policy: &Policy<L>, name: Name) -> Self
    where
        L: Clone,
    {
        let rules = Rules::new(policy);
        Self {
            shared: Arc::new(Shared {
                machine: Machine::new(rules, Cold::new(policy, &rules)),
                name,
                base: Instant::now(),
                listener: policy.listener.clone(),
            }),
        }
    }

    /// Asks for a permit to make one call.
    ///
    /// # Errors
    ///
    /// Why the call must not be made, and for how long.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<L>, Open> {
        self.acquire(context::now)
    }

    /// [`try_acquire`](Self::try_acquire) at this instant.
    ///
    /// # Errors
    ///
    /// Why the call must not be made, and for how long.
    pub fn try_acquire_at(&self, now: Instant) -> Result<Permit<L>, Open> {
        self.acquire(|| now)
    }

    #[inline]
    fn acquire(&self, now: impl FnOnce() -> Instant) -> Result<Permit<L>, Open> {
        let token = match self.pass() {
            Some(token) => token,
            None => self.admit_at(now()),
        };
        if token.is_void() {
            return Err(self.shared.refused(token.refusal()));
        }
        let mut ticket = self.ticket(token);
        ticket.due(context::deadline());
        Ok(Permit::new(ticket))
    }

    /// Lets a call in without asking the time, where that will do.
    #[inline]
    pub(crate) fn pass(&self) -> Option<Token> {
        self.shared.machine.admit()
    }

    /// Lets a call in, or refuses it.
    pub(crate) fn admit_at(&self, now: Instant) -> Token {
        self.shared.admit_at(now)
    }

    /// What a call holds that was let in, or refused.
    #[inline]
    pub(crate) fn ticket(&self, token: Token) -> Ticket<L> {
        Ticket::new(&self.shared, token)
    }
}

impl<L> CircuitBreaker<L> {
    /// The circuit's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.shared.name
    }

    /// Whether a call would pass without the time being asked.
    #[inline]
    pub(crate) fn passes(&self) -> bool {
        self.shared.machine.passes()
    }

    /// Why a call would be refused. The clock is read only where that takes it.
    pub(crate) fn refusal(&self, now: impl FnOnce() -> Instant) -> Option<Refusal> {
        if self.passes() {
            return None;
        }
        self.shared.machine.refusal(self.shared.tick(now()))
    }

    /// Whether nobody else has the circuit: no layer, service, permit or handle.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    fn gate(&self, now: impl FnOnce() -> Instant) -> Result<(), Fault> {
        match self.refusal(now) {
            None => Ok(()),
            Some(refusal) => Err(self.shared.refused(refusal).fault()),
        }
    }
}

impl<L> Gate for CircuitBreaker<L> {
    fn admits(&self, now: Instant) -> Result<(), Fault> {
        self.gate(|| now)
    }

    fn admits_now(&self) -> Result<Option<Instant>, Fault> {
        let mut read = None;
        self.gate(|| *read.insert(context::now()))?;
        Ok(read)
    }
}

impl<L> Clone for CircuitBreaker<L> {
    /// Another handle on the same circuit.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<L> fmt::Debug for CircuitBreaker<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.shared.name)
            .field("state", &self.shared.machine.word.load().state())
            .finish_non_exhaustive()
    }
}

impl<L> fmt::Debug for Shared<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
