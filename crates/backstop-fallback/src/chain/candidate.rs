use std::{fmt, sync::Arc};

use backstop_core::{Fault, FaultKind, FaultKinds, Gate, Name};
use tokio::time::Instant;

use crate::{MapFn, Same, order::Latency};

/// One of the services of a [`Chain`](crate::Chain), and when it is to be asked.
///
/// ```
/// use backstop_core::FaultKind;
/// use backstop_fallback::{Candidate, FAIL_OVER};
///
/// # let (small, large) = ((), ());
/// let small = Candidate::new("small", small).weight(3);
/// let large = Candidate::new("large", large).on(FAIL_OVER.with(FaultKind::TooLarge));
/// ```
pub struct Candidate<S, M = Same> {
    pub(super) profile: Profile,
    pub(super) service: S,
    pub(super) map: M,
    pub(super) gate: Option<Arc<dyn Gate + Send + Sync>>,
    pub(super) on: Option<FaultKinds>,
    pub(super) free: bool,
    pub(super) hedges: bool,
}

impl<S> Candidate<S> {
    /// A candidate that is asked after the chain's kinds of failure, with the caller's request.
    #[must_use]
    pub fn new(name: impl Into<Name>, service: S) -> Self {
        Self {
            profile: Profile {
                name: name.into(),
                tier: 0,
                weight: 1,
                price: 0,
                latency: Arc::default(),
            },
            service,
            map: Same,
            gate: None,
            on: None,
            free: false,
            hedges: true,
        }
    }
}

impl<S, M> Candidate<S, M> {
    /// Sends the candidate what `map` makes of the request. All candidates of a chain share the
    /// type of their mapping, so closures that are written in several places are boxed.
    #[must_use]
    pub fn map_request<F>(self, map: F) -> Candidate<S, MapFn<F>> {
        Candidate {
            profile: self.profile,
            service: self.service,
            map: MapFn(map),
            gate: self.gate,
            on: self.on,
            free: self.free,
            hedges: self.hedges,
        }
    }

    /// Asks `gate` before the candidate: where it refuses, the candidate is passed over without
    /// being called. The handle of the candidate's circuit breaker is a gate.
    #[must_use]
    pub fn gate(mut self, gate: impl Gate + Send + Sync + 'static) -> Self {
        self.gate = Some(Arc::new(gate));
        self
    }

    /// Asks this candidate after failures of these kinds, in place of the chain's: add
    /// [`TooLarge`](backstop_core::FaultKind::TooLarge) for one that takes larger requests.
    ///
    /// One that does not step in for [`Refused`](backstop_core::FaultKind::Refused) is a
    /// specialist: it is never the first to be asked.
    #[must_use]
    pub const fn on(mut self, kinds: FaultKinds) -> Self {
        self.on = Some(kinds);
        self
    }

    /// Puts it into a tier: no candidate of a tier is asked before all that can be asked of those
    /// below it in number, whatever the order within them. A cached or a static reply belongs into
    /// the last, or it would be the fastest and the cheapest. Default: 0.
    #[must_use]
    pub const fn tier(mut self, tier: u8) -> Self {
        self.profile.tier = tier;
        self
    }

    /// Its share of the calls among the others, for [`Weighted`](crate::order::Weighted) order.
    /// Default: 1.
    #[must_use]
    pub const fn weight(mut self, weight: u32) -> Self {
        self.profile.weight = weight;
        self
    }

    /// What a call of it costs, in any unit that all candidates share, for
    /// [`Cheapest`](crate::order::Cheapest) order. Default: 0.
    #[must_use]
    pub const fn price(mut self, price: u64) -> Self {
        self.profile.price = price;
        self
    }

    /// Notes here how long it takes to answer, for [`Fastest`](crate::order::Fastest) order.
    /// Candidates of several chains which are the same service may share it, and one that takes
    /// the place of another may go on with what was measured. Default: nothing is known yet.
    #[must_use]
    pub fn latency(mut self, latency: Arc<Latency>) -> Self {
        self.profile.latency = latency;
        self
    }

    /// Asking it costs nothing, as with a cached or a static reply: the bound on attempts does
    /// not keep it from being asked. It is [never started beside](Self::unhedged) another.
    #[must_use]
    pub const fn free(mut self) -> Self {
        self.free = true;
        self.unhedged()
    }

    /// Never starts it beside another candidate, where the chain is [hedged](crate::Chain::hedge):
    /// for one whose answers are lesser ones, and there sooner. It is asked once the others have
    /// failed.
    #[must_use]
    pub const fn unhedged(mut self) -> Self {
        self.hedges = false;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.profile.name
    }

    /// The service itself.
    pub const fn service(&self) -> &S {
        &self.service
    }

    /// What an order may know of it.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether it is asked after a failure of this kind, in a chain that goes on after failures
    /// `on`; or, where there was none, because it is its turn.
    pub(super) fn steps_in(&self, after: Option<FaultKind>, on: FaultKinds) -> bool {
        match (after, self.on) {
            (Some(kind), own) => own.unwrap_or(on).contains(kind),
            (None, Some(own)) => own.contains(FaultKind::Refused),
            (None, None) => true,
        }
    }

    /// Whether its gate would let a call through at `now`.
    ///
    /// # Errors
    ///
    /// The fault that the call would meet.
    pub fn admits(&self, now: Instant) -> Result<(), Fault> {
        self.gate.as_ref().map_or(Ok(()), |gate| gate.admits(now))
    }
}

impl<S, M> fmt::Debug for Candidate<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("profile", &self.profile)
            .field("gated", &self.gate.is_some())
            .field("on", &self.on)
            .field("free", &self.free)
            .field("hedges", &self.hedges)
            .finish_non_exhaustive()
    }
}

/// What an [`Order`](crate::order::Order) may know of a candidate.
#[derive(Debug)]
pub struct Profile {
    name: Name,
    tier: u8,
    weight: u32,
    price: u64,
    latency: Arc<Latency>,
}

impl Profile {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its tier.
    #[must_use]
    pub const fn tier(&self) -> u8 {
        self.tier
    }

    /// Its share of the calls.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// What a call of it costs.
    #[must_use]
    pub const fn price(&self) -> u64 {
        self.price
    }

    /// How long it takes to answer, where the chain's order measures that.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        &self.latency
    }
}
