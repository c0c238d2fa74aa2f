//! In which order the candidates of a [`Chain`](crate::Chain) are asked.

mod latency;
mod weighted;

use std::fmt;

pub use self::{
    latency::{Fastest, Latency},
    weighted::Weighted,
};
pub use crate::chain::Profile;

/// Tells which candidate is asked next, of those that are left.
///
/// It is asked once for each candidate that a call gets to, so an order can be made anew for each
/// call without any allocation.
pub trait Order {
    /// Whether the chain shall measure how long its candidates take to answer. That costs two
    /// readings of the clock for each call.
    const MEASURES: bool = false;

    /// Which of those left is asked next. Where the answer is not one of them, the first is.
    fn next(&self, left: &Left<'_>) -> Option<usize>;
}

/// The candidates that a call may yet ask, each by its place in the chain.
pub struct Left<'a> {
    profiles: &'a dyn Fn(usize) -> &'a Profile,
    places: u64,
}

impl<'a> Left<'a> {
    pub(crate) const fn new(profiles: &'a dyn Fn(usize) -> &'a Profile, places: u64) -> Self {
        Self { profiles, places }
    }

    /// The places that are left, in the order of the chain, and who is there.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'a Profile)> {
        let (profiles, mut places) = (self.profiles, self.places);
        std::iter::from_fn(move || {
            let place = first(places)?;
            places &= places - 1;
            Some((place, profiles(place)))
        })
    }

    /// The first place that is left.
    #[must_use]
    pub fn first(&self) -> Option<usize> {
        first(self.places)
    }
}

impl fmt::Debug for Left<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The lowest place in a set of places.
pub(crate) fn first(places: u64) -> Option<usize> {
    (places != 0).then_some(places.trailing_zeros() as usize)
}

/// In the order of the chain: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Priority;

impl Order for Priority {
    #[inline]
    fn next(&self, left: &Left<'_>) -> Option<usize> {
        left.first()
    }
}

/// The cheapest first, by [`Candidate::price`](crate::Candidate::price); those of one price in the
/// order of the chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cheapest;

impl Order for Cheapest {
    fn next(&self, left: &Left<'_>) -> Option<usize> {
        by_key(Profile::price).next(left)
    }
}

/// The smallest first by a key of one's own, made by [`by_key`].
#[derive(Clone, Copy)]
pub struct ByKey<F>(F);

/// An order by a key that a closure reads from each candidate: the smallest first, those of one
/// key in the order of the chain.
///
/// ```
/// use backstop_fallback::{chain::Profile, order::by_key};
///
/// let local_first = by_key(|profile: &Profile| !profile.name().starts_with("local:"));
/// # let _ = local_first;
/// ```
pub const fn by_key<F, K>(key: F) -> ByKey<F>
where
    F: Fn(&Profile) -> K,
    K: Ord,
{
    ByKey(key)
}

impl<F, K> Order for ByKey<F>
where
    F: Fn(&Profile) -> K,
    K: Ord,
{
    fn next(&self, left: &Left<'_>) -> Option<usize> {
        let smallest = left.iter().min_by_key(|(_, profile)| (self.0)(profile));
        smallest.map(|(place, _)| place)
    }
}

impl<F> fmt::Debug for ByKey<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByKey")
    }
}
