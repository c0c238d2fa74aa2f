use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Left, Order};

/// By chance, each candidate in proportion to its [`weight`](crate::Candidate::weight). A candidate
/// of weight 0 is asked only when no other is left.
///
/// The draws are made for each call anew, from one sequence that all clones share.
#[derive(Clone, Debug)]
pub struct Weighted {
    drawn: Arc<AtomicU64>,
}

impl Weighted {
    /// With a seed of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::seeded(fastrand::u64(..))
    }

    /// With this seed, so that the draws can be repeated.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            drawn: Arc::new(AtomicU64::new(seed)),
        }
    }

    /// The next number of the sequence: splitmix64, whose state is a mere counter, so that threads
    /// can share it without a lock.
    fn draw(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.drawn.fetch_add(STEP, Ordering::Relaxed);
        z = z.wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Default for Weighted {
    fn default() -> Self {
        Self::new()
    }
}

impl Order for Weighted {
    fn next(&self, left: &Left<'_>) -> Option<usize> {
        let total: u64 = left.iter().map(|(_, p)| u64::from(p.weight())).sum();
        // The high half of the product is even over 0..total, to within one part in 2^26.
        let mut at = ((u128::from(self.draw()) * u128::from(total)) >> 64) as u64;
        for (place, profile) in left.iter() {
            let weight = u64::from(profile.weight());
            if at < weight {
                return Some(place);
            }
            at -= weight;
        }
        left.first()
    }
}
