use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use backstop_core::Name;
use moka::sync::Cache as Entries;
use tokio::time::Instant;

use crate::{Clones, KeepFn, flight::Flights};

/// Answers by key, each of them the last good one. Clones share the answers.
///
/// A [`CacheLayer`](crate::CacheLayer) fills it, and [`Cached`](crate::Cached) answers from it.
pub struct Cache<K, V, P = Clones> {
    name: Name,
    max_age: Duration,
    entries: Entries<K, Entry<V>>,
    pub(crate) flights: Arc<Flights<K>>,
    pub(crate) keep: P,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    stored: Instant,
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// At most `capacity` answers, none of which is handed out once it is older than `max_age`.
    /// `name` is who is said to have answered.
    ///
    /// Responses are kept as clones.
    #[must_use]
    pub fn new(name: impl Into<Name>, capacity: u64, max_age: Duration) -> Self {
        Self {
            name: name.into(),
            max_age,
            entries: Entries::new(capacity),
            flights: Arc::default(),
            keep: Clones,
        }
    }

    /// Keeps what `keep` makes of a response, or nothing, and hands out what `restore` makes of
    /// that again: for responses that are no `Clone`, or have parts that are not to be kept.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_cache::Cache;
    ///
    /// struct Answer(String);
    ///
    /// let cache = Cache::<String, String>::new("cache", 1_000, Duration::from_secs(3600))
    ///     .keeping(|answer: &Answer| Some(answer.0.clone()), Answer);
    /// ```
    #[must_use]
    pub fn keeping<F, G, Res>(self, keep: F, restore: G) -> Cache<K, V, KeepFn<F, G>>
    where
        F: Fn(&Res) -> Option<V>,
        G: Fn(V) -> Res,
    {
        Cache {
            name: self.name,
            max_age: self.max_age,
            entries: self.entries,
            flights: self.flights,
            keep: KeepFn { keep, restore },
        }
    }
}

impl<K, V, P> Cache<K, V, P>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps an answer, in place of an older one.
    pub fn insert(&self, key: K, value: V) {
        let stored = Instant::now();
        self.entries.insert(key, Entry { value, stored });
    }

    /// The answer of this key and its age, unless it is too old.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<(V, Duration)> {
        // The age is judged here, by the clock that a test can pause, and not by the cache's own.
        let Entry { value, stored } = self.entries.get(key)?;
        let age = Instant::now().saturating_duration_since(stored);
        if age > self.max_age {
            self.entries.invalidate(key);
            return None;
        }
        Some((value, age))
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        self.entries.invalidate_all();
    }
}

impl<K, V, P> Cache<K, V, P> {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }
}

impl<K, V, P: Clone> Clone for Cache<K, V, P> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            max_age: self.max_age,
            entries: self.entries.clone(),
            flights: self.flights.clone(),
            keep: self.keep.clone(),
        }
    }
}

impl<K, V, P> fmt::Debug for Cache<K, V, P> {
    /// Neither keys nor answers are shown: they may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}
