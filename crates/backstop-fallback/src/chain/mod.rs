//! A list of candidates that is known only at run time, and can be changed while it runs.

mod candidate;
mod future;
mod handle;
mod hedge;
mod list;
mod run;
mod service;
mod state;

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, Cache};
use backstop_core::{ErrorsAreTransient, FaultKinds};

pub use self::{
    candidate::{Candidate, Profile},
    future::ChainFuture,
    handle::Handle,
    hedge::{Hedged, HedgedFuture},
};
use self::{list::List, service::First};
use crate::{InvalidChain, Same, UnknownCandidate, order::Priority, policy::Policy};

/// Asks one candidate after the other until one answers: a service over a list of services of one
/// type.
///
/// Clones share the list, and cost little. A [`handle`](Self::handle) changes it while it runs.
///
/// Services of different types become candidates by boxing them, with
/// `tower::util::BoxCloneSyncService` say.
///
/// ```
/// use backstop_fallback::{Candidate, Chain};
/// use tower::{BoxError, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let shard = |up: bool| service_fn(move |_: ()| async move {
///     if up { Ok("found") } else { Err(BoxError::from("down")) }
/// });
/// let chain = Chain::new([
///     Candidate::new("near", shard(false)),
///     Candidate::new("far", shard(true)),
/// ])?;
/// let handle = chain.handle();
///
/// assert_eq!(chain.clone().oneshot(()).await?, "found");
/// handle.disable("far")?;
/// let error = chain.oneshot(()).await.unwrap_err();
/// assert_eq!(error.to_string(), "the only candidate failed: near unavailable after 0 ms");
/// # Ok(()) }
/// ```
pub struct Chain<S, M = Same, C = ErrorsAreTransient, O = Priority> {
    handle: Handle<S, M>,
    /// The handle's list, as last seen: looking for a newer one costs a single load.
    list: Cache<Shared<S, M>, Arc<List<S, M>>>,
    policy: Policy<C>,
    order: O,
    first: Option<First<S, M>>,
}

/// The list that all clones of a chain, and its handles, have in common.
type Shared<S, M> = Arc<ArcSwap<List<S, M>>>;

impl<S, M> Chain<S, M> {
    /// How many candidates a chain can hold.
    pub const MAX: usize = list::MAX;

    /// Asks these candidates, in this order, as long as what fails is not the caller's doing
    /// ([`FAIL_OVER`](crate::FAIL_OVER)). Any error counts as such a failure until a classifier is
    /// given.
    ///
    /// # Errors
    ///
    /// Two candidates have the same name, or there are more than [`MAX`](Self::MAX). A chain of
    /// none is fine: it fails every call until it is given one.
    pub fn new(
        candidates: impl IntoIterator<Item = Candidate<S, M>>,
    ) -> Result<Self, InvalidChain> {
        let list = List::new(candidates)?;
        Ok(Self::over(list, Policy::DEFAULT, Priority))
    }
}

impl<S, M, C, O> Chain<S, M, C, O> {
    fn over(list: List<S, M>, policy: Policy<C>, order: O) -> Self {
        let list = Arc::new(ArcSwap::from_pointee(list));
        Self {
            handle: Handle { list: list.clone() },
            list: Cache::new(list),
            policy,
            order,
            first: None,
        }
    }

    /// Tells by `classify` which results are failures, and of what kind.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> Chain<S, M, D, O> {
        Chain {
            handle: self.handle,
            list: self.list,
            policy: self.policy.classify(classify),
            order: self.order,
            first: None,
        }
    }

    /// Goes on to the next candidate after failures of these kinds, in place of
    /// [`FAIL_OVER`](crate::FAIL_OVER). A candidate may have [its own](Candidate::on).
    #[must_use]
    pub fn on(mut self, kinds: FaultKinds) -> Self {
        self.policy.on = kinds;
        self
    }

    /// Bounds the attempts of a whole call over all candidates, those of retries further in
    /// included. [Free](Candidate::free) candidates are asked beyond it. Default: no bound.
    #[must_use]
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.policy.max_attempts = Some(attempts);
        self
    }

    /// Asks the candidates in this order. Default: [`Priority`], that of the list.
    #[must_use]
    pub fn order<P>(self, order: P) -> Chain<S, M, C, P> {
        Chain {
            handle: self.handle,
            list: self.list,
            policy: self.policy,
            order,
            first: None,
        }
    }

    /// Starts the next candidate beside the present one where that has not answered `after` so
    /// long. For a streamed answer, whose call resolves with the first content, this is the wait
    /// for the first token.
    #[must_use]
    pub const fn hedge(self, after: Duration) -> Hedged<S, M, C, O> {
        Hedged::new(self, after)
    }

    /// Changes the list while it runs, for this chain and all its clones.
    #[must_use]
    pub fn handle(&self) -> Handle<S, M> {
        self.handle.clone()
    }

    /// A chain of only these candidates, in this order, and of those only the ones that are
    /// enabled now: for a request that comes with wishes of its own. It shares the candidates,
    /// but later changes to this chain don't reach it.
    ///
    /// # Errors
    ///
    /// No candidate has one of the names.
    pub fn select<N: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, UnknownCandidate>
    where
        C: Clone,
        O: Clone,
    {
        let list = self.handle.list.load();
        let selected = list.arranged(&list.places_of(names)?, false);
        Ok(Self::over(
            selected,
            self.policy.clone(),
            self.order.clone(),
        ))
    }
}

impl<S, M, C: Clone, O: Clone> Clone for Chain<S, M, C, O> {
    /// A new clone has asked no candidate whether it is ready.
    fn clone(&self) -> Self {
        Self {
            handle: self.handle.clone(),
            list: self.list.clone(),
            policy: self.policy.clone(),
            order: self.order.clone(),
            first: None,
        }
    }
}

impl<S, M, C, O: fmt::Debug> fmt::Debug for Chain<S, M, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("candidates", &self.handle)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}
