use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use backstop_core::context;
use tokio::time::Instant;

use super::{Left, Order};

/// The fastest first, by how long each lately took to answer; those not yet measured come before
/// all others, so that they are.
///
/// What was measured fades: half of it is forgotten every ten seconds without a call, so that a
/// candidate that was once slow is asked again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fastest;

impl Order for Fastest {
    const MEASURES: bool = true;

    fn next(&self, left: &Left<'_>) -> Option<usize> {
        let now = context::now();
        let fastest = left.iter().min_by_key(|(_, p)| p.latency().at(now));
        fastest.map(|(place, _)| place)
    }
}

/// How long a candidate lately took to answer: a peak-sensitive moving average. It follows a slower
/// answer at once and a faster one by and by, as a candidate that slows down is to be noticed by
/// the next call.
#[derive(Debug)]
pub struct Latency {
    nanos: AtomicU64,
    /// When it was last measured, since `origin`.
    measured: AtomicU64,
    origin: Instant,
}

impl Latency {
    /// After so long without a call, half of what was measured is forgotten.
    const HALF_LIFE: Duration = Duration::from_secs(10);
    /// What a failure counts as, at least: an answer that is as good as none.
    const FAILED: Duration = Duration::from_secs(10);

    /// The estimate at `now`: zero before the first answer.
    #[must_use]
    pub fn at(&self, now: Instant) -> Duration {
        let measured = Duration::from_nanos(self.measured.load(Ordering::Relaxed));
        let idle = self.since_origin(now).saturating_sub(measured);
        let halvings = idle.as_nanos() / Self::HALF_LIFE.as_nanos();
        let nanos = self.nanos.load(Ordering::Relaxed);
        Duration::from_nanos(
            nanos
                .checked_shr(halvings.try_into().unwrap_or(64))
                .unwrap_or(0),
        )
    }

    /// It answered, or failed, after `took`.
    ///
    /// Two that are noted at once may lose one of them: an estimate can bear that.
    pub(crate) fn note(&self, now: Instant, took: Duration, failed: bool) {
        let sample = if failed { took.max(Self::FAILED) } else { took };
        let before = self.at(now);
        let after = if sample >= before {
            sample
        } else {
            before - (before - sample) / 4
        };
        self.nanos.store(nanos(after), Ordering::Relaxed);
        let measured = nanos(self.since_origin(now));
        self.measured.store(measured, Ordering::Relaxed);
    }

    fn since_origin(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            nanos: AtomicU64::new(0),
            measured: AtomicU64::new(0),
            origin: Instant::now(),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}
