use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, futures::OwnedNotified};

/// The calls that are under way, one for each key, so that another of the same key can wait for
/// it.
pub(crate) struct Flights<K>(Mutex<HashMap<K, Arc<Notify>>>);

/// What a call is to those of the same key.
pub(crate) enum Part<K> {
    /// The first: others wait until this is dropped.
    Leads(Lead<K>),
    /// Another is under way; this resolves once it is over.
    Follows(OwnedNotified),
}

impl<K: Clone + Eq + Hash> Flights<K> {
    pub(crate) fn join(self: &Arc<Self>, key: K) -> Part<K> {
        match self.lock().entry(key) {
            Entry::Occupied(flight) => Part::Follows(flight.get().clone().notified_owned()),
            Entry::Vacant(place) => {
                let key = place.key().clone();
                place.insert(Arc::default());
                Part::Leads(Lead {
                    flights: self.clone(),
                    key,
                    end: Self::end,
                })
            }
        }
    }

    fn end(&self, key: &K) {
        if let Some(others) = self.lock().remove(key) {
            others.notify_waiters();
        }
    }
}

impl<K> Flights<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The call that others wait for. However it ends, they are told.
pub(crate) struct Lead<K> {
    flights: Arc<Flights<K>>,
    key: K,
    /// How to end it, taken down where it was known that keys can be looked up: so that nothing
    /// that holds a lead need say so again.
    end: fn(&Flights<K>, &K),
}

impl<K> Drop for Lead<K> {
    fn drop(&mut self) {
        (self.end)(&self.flights, &self.key);
    }
}
