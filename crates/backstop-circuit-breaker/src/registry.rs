//! One circuit for each key.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use backstop_core::{AtOnce, ErrorsAreTransient, Name};
use tokio::time::Instant;

use crate::{CircuitBreaker, CircuitBreakerLayer, Listener, Policy};

/// One circuit for each key: for each host, or provider, model and credential.
///
/// It keeps so many circuits at most, and makes room by dropping the one that was asked for least
/// recently among those that are as good as new: closed, without a failure, and with no layer,
/// service, permit or handle about. An open or half-open one is never dropped. Where none can be,
/// new keys share one circuit, `overflow`, and are counted.
///
/// How a key is named is for the caller to say: a key that holds a credential must not be its own
/// name, as names are logged.
///
/// ```
/// use backstop_circuit_breaker::{Policy, Registry};
///
/// let circuits = Registry::new(Policy::new(), |(host, _): &(String, u64)| host.as_str().into());
/// let key = ("api.example.com".to_owned(), 0x5ec7e7);
/// let layer = circuits.layer(&key);
/// assert_eq!(&**layer.handle().name(), "api.example.com");
/// ```
pub struct Registry<K, F, L = ()> {
    policy: Policy<L>,
    name: F,
    limit: usize,
    overflow: CircuitBreaker<L>,
    shelf: Mutex<Shelf<K, L>>,
}

struct Shelf<K, L> {
    circuits: HashMap<K, Entry<L>>,
    /// The keys by when they were last asked for.
    order: BTreeMap<u64, K>,
    /// How often a circuit was asked for.
    asked: u64,
    overflowed: u64,
}

struct Entry<L> {
    breaker: CircuitBreaker<L>,
    used: u64,
}

/// How many circuits are looked at to find one that can be dropped.
const LOOKED_AT: usize = 16;

impl<K, F, L> Registry<K, F, L>
where
    F: Fn(&K) -> Name,
    L: Listener + Clone,
{
    /// How many circuits a registry keeps by default.
    pub const LIMIT: NonZeroUsize = NonZeroUsize::new(10_000).expect("ten thousand is not zero");

    /// A registry of circuits with these rules, named by `name`.
    pub fn new(policy: Policy<L>, name: F) -> Self {
        Self {
            overflow: policy.breaker("overflow"),
            policy,
            name,
            limit: Self::LIMIT.get(),
            shelf: Mutex::new(Shelf {
                circuits: HashMap::new(),
                order: BTreeMap::new(),
                asked: 0,
                overflowed: 0,
            }),
        }
    }

    /// Keeps so many circuits at most.
    #[must_use]
    pub fn limit(mut self, circuits: NonZeroUsize) -> Self {
        self.limit = circuits.get();
        self
    }
}

impl<K, F, L> Registry<K, F, L>
where
    K: Clone + Eq + Hash,
    F: Fn(&K) -> Name,
    L: Listener + Clone,
{
    /// The circuit of this key, made if there is none. As with a map, a key that is borrowed finds
    /// it too: a `&str` that of a `String`.
    pub fn breaker<Q>(&self, key: &Q) -> CircuitBreaker<L>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let shelf = &mut *self.shelf();
        if let Some(breaker) = shelf.find(key) {
            return breaker;
        }
        if shelf.circuits.len() >= self.limit && !shelf.make_room() {
            shelf.overflowed = shelf.overflowed.saturating_add(1);
            return self.overflow.clone();
        }
        let key = key.to_owned();
        let breaker = self.policy.breaker((self.name)(&key));
        shelf.put(key, breaker.clone());
        breaker
    }

    /// A layer with the circuit of this key.
    pub fn layer<Q>(&self, key: &Q) -> CircuitBreakerLayer<ErrorsAreTransient, AtOnce, L>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.breaker(key).layer()
    }

    /// Forgets the circuit of this key, whatever its state. Who holds it keeps it.
    pub fn remove<Q>(&self, key: &Q) -> Option<CircuitBreaker<L>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let shelf = &mut *self.shelf();
        let entry = shelf.circuits.remove(key)?;
        shelf.order.remove(&entry.used);
        Some(entry.breaker)
    }
}

impl<K, F, L> Registry<K, F, L> {
    /// All circuits, with their keys, in no order.
    #[must_use]
    pub fn breakers(&self) -> Vec<(K, CircuitBreaker<L>)>
    where
        K: Clone,
    {
        let shelf = self.shelf();
        let entry = |(key, entry): (&K, &Entry<L>)| (key.clone(), entry.breaker.clone());
        shelf.circuits.iter().map(entry).collect()
    }

    /// How many circuits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelf().circuits.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many times a key had to share the circuit for those that there was no room for.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.shelf().overflowed
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<K, L>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, L: Listener> Shelf<K, L> {
    fn find<Q>(&mut self, key: &Q) -> Option<CircuitBreaker<L>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.circuits.get_mut(key)?;
        self.asked += 1;
        if let Some(key) = self.order.remove(&entry.used) {
            self.order.insert(self.asked, key);
        }
        entry.used = self.asked;
        Some(entry.breaker.clone())
    }

    fn put(&mut self, key: K, breaker: CircuitBreaker<L>) {
        self.asked += 1;
        let used = self.asked;
        self.order.insert(used, key.clone());
        self.circuits.insert(key, Entry { breaker, used });
    }

    /// Drops the circuit that was asked for least recently among those that can be. One that can't
    /// be is put back as if it had just been asked for, so that it isn't looked at again each time.
    fn make_room(&mut self) -> bool {
        let now = Instant::now();
        for _ in 0..LOOKED_AT.min(self.order.len()) {
            let Some((_, key)) = self.order.pop_first() else {
                return false;
            };
            let Some(entry) = self.circuits.remove(&key) else {
                continue;
            };
            if entry.breaker.is_as_new(now) {
                return true;
            }
            self.put(key, entry.breaker);
        }
        false
    }
}

impl<L> CircuitBreaker<L> {
    /// Whether nothing would be lost with this handle, which is the last. The question moves no
    /// circuit on, as its listener would hear of that under the registry's lock.
    fn is_as_new(&self, now: Instant) -> bool {
        let machine = &self.shared.machine;
        if !(self.is_last() && machine.passes()) {
            return false;
        }
        let cold = &mut machine.cold();
        let tally = cold.tally(self.shared.tick(now), machine);
        cold.attempt == 0
            && machine.word.load().consecutive() == 0
            && tally.failures == 0
            && tally.slow == 0
    }
}

impl<K, F, L> fmt::Debug for Registry<K, F, L> {
    /// Without the keys, as they may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("circuits", &self.len())
            .field("limit", &self.limit)
            .field("overflowed", &self.overflowed())
            .finish_non_exhaustive()
    }
}
