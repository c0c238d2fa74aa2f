use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The chance in one call's waits: each call that fails has a stream of its own.
#[derive(Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// A stream that repeats itself for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A duration above zero and up to `bound`, to the nanosecond; zero only where `bound` is.
    pub fn up_to(&mut self, bound: Duration) -> Duration {
        match nanos(bound) {
            0 => Duration::ZERO,
            bound => Duration::from_nanos(self.0.u64(1..=bound)),
        }
    }

    /// A duration above `low` and up to `high`; `low` where `high` is no more than that.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low.saturating_add(self.up_to(high.saturating_sub(low)))
    }
}

/// Nanoseconds, where more than 584 years of them count as so many.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Where the streams of calls come from: the thread's generator, or a seed and a count.
#[derive(Clone, Debug)]
pub(crate) struct Seed(Option<Arc<AtomicU64>>);

impl Seed {
    pub(crate) const FRESH: Self = Self(None);

    pub(crate) fn fixed(seed: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(seed))))
    }

    /// The stream of one call.
    pub(crate) fn stream(&self) -> Random {
        match &self.0 {
            None => Random(fastrand::Rng::new()),
            // The generator scatters seeds that lie close together.
            Some(next) => Random::seeded(next.fetch_add(1, Ordering::Relaxed)),
        }
    }
}
