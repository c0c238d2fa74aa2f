use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The chance in one call's waits: each call that fails has a stream of its own.
#[derive(Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// A stream from the thread's generator.
    pub(crate) fn fresh() -> Self {
        Self(fastrand::Rng::new())
    }

    /// A stream that repeats itself for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(scattered(seed)))
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

/// Puts seeds far apart that lie close together: the generator's streams from neighbouring seeds
/// are much alike. The steps are the last ones of SplitMix64.
const fn scattered(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Where the streams of calls come from when they are to be the same each time.
#[derive(Debug)]
pub(crate) struct Seed(AtomicU64);

impl Seed {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The stream of one call.
    pub(crate) fn stream(&self) -> Random {
        Random::seeded(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::scattered;

    #[test]
    fn seeds_are_scattered_as_by_splitmix64() {
        assert_eq!(scattered(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(scattered(1), 0x910a_2dec_8902_5cc1);
        assert_eq!(scattered(1_234_567), 6_457_827_717_110_365_317);
    }
}
