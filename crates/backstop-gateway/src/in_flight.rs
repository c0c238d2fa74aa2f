//! How many calls are running.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many calls are running.
#[derive(Debug, Default)]
pub(crate) struct InFlight(AtomicUsize);

impl InFlight {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, unless `limit` are running.
    pub(crate) fn enter(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        (before < limit).then_some(place)
    }
}

/// The place of one call among those that are running.
#[derive(Debug)]
pub(crate) struct Place(Arc<InFlight>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
