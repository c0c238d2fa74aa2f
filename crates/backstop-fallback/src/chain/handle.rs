use std::{fmt, sync::Arc};

use super::{Shared, list::List};
use crate::{Candidate, InvalidChain, Same, UnknownCandidate};

/// Changes a [`Chain`](crate::Chain) while it runs, and every clone of it. Calls that are under way
/// keep the order that they started with.
pub struct Handle<S, M = Same> {
    pub(super) list: Shared<S, M>,
}

impl<S, M> Handle<S, M> {
    /// The candidates in their present order, and whether each is enabled.
    #[must_use]
    pub fn candidates(&self) -> Vec<(Arc<Candidate<S, M>>, bool)> {
        let list = self.list.load();
        let candidates = list.iter();
        candidates
            .map(|(candidate, on)| (candidate.clone(), on))
            .collect()
    }

    /// Puts these candidates first, in this order; the others follow in the order they had.
    ///
    /// # Errors
    ///
    /// No candidate has one of the names. Then nothing has changed.
    pub fn reorder<N: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<(), UnknownCandidate> {
        let names: Vec<N> = names.into_iter().collect();
        self.change(|list| Ok(list.arranged(&list.places_of(&names)?, true)))
    }

    /// Lets a candidate be asked again.
    ///
    /// # Errors
    ///
    /// No candidate has this name.
    pub fn enable(&self, name: &str) -> Result<(), UnknownCandidate> {
        self.change(|list| Ok(list.with_enabled(list.find(name)?, true)))
    }

    /// Keeps a candidate from being asked by calls that begin from now on.
    ///
    /// # Errors
    ///
    /// No candidate has this name.
    pub fn disable(&self, name: &str) -> Result<(), UnknownCandidate> {
        self.change(|list| Ok(list.with_enabled(list.find(name)?, false)))
    }

    /// Replaces all candidates. Those that are to keep their state — the breaker in a candidate's
    /// service, say — are clones of the services that were there.
    ///
    /// # Errors
    ///
    /// No chain can be made of the candidates. Then nothing has changed.
    pub fn replace(
        &self,
        candidates: impl IntoIterator<Item = Candidate<S, M>>,
    ) -> Result<(), InvalidChain> {
        self.list.store(Arc::new(List::new(candidates)?));
        Ok(())
    }

    /// Makes a new list of the present one, again should another thread have changed it meanwhile.
    fn change(
        &self,
        with: impl Fn(&List<S, M>) -> Result<List<S, M>, UnknownCandidate>,
    ) -> Result<(), UnknownCandidate> {
        loop {
            let now = self.list.load_full();
            let new = Arc::new(with(&now)?);
            let was = self.list.compare_and_swap(&now, new);
            if Arc::ptr_eq(&was, &now) {
                return Ok(());
            }
        }
    }
}

impl<S, M> Clone for Handle<S, M> {
    fn clone(&self) -> Self {
        Self {
            list: self.list.clone(),
        }
    }
}

impl<S, M> fmt::Debug for Handle<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.load().names()).finish()
    }
}
