//! In which order the candidates of a model are asked.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use backstop_core::{Name, context};
use backstop_fallback::{
    chain::Profile,
    order::{Left, Order},
};

use super::Entry;
use crate::config::{Model, Ordering};

/// By tier, and within one by what the config says.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    by: Ordering,
    tiers: Arc<BTreeMap<Name, u32>>,
    /// Whether the operator has put them in an order by hand, which then is the order.
    by_hand: Arc<AtomicBool>,
}

impl Ordered {
    pub(super) fn new(model: &Model) -> Self {
        let candidates = model.candidates.iter();
        Self {
            by: model.order,
            tiers: Arc::new(candidates.map(|it| (it.name.clone(), it.tier)).collect()),
            by_hand: Arc::default(),
        }
    }

    /// The same tiers, and within one by this.
    pub(super) fn by(&self, by: Ordering) -> Self {
        Self {
            by,
            tiers: self.tiers.clone(),
            by_hand: Arc::default(),
        }
    }

    /// Asks them as they are listed from now on, or no longer.
    pub(super) fn put_by_hand(&self, by_hand: bool) {
        self.by_hand.store(by_hand, Relaxed);
    }

    /// The tier of a candidate; those of other models are in the first.
    pub(super) fn tier(&self, name: &Name) -> u32 {
        self.tiers.get(name).copied().unwrap_or_default()
    }

    /// Puts those who would be asked now in the order in which they would be, as far as that is
    /// not left to chance.
    pub(super) fn arrange(&self, entries: &mut [Arc<Entry>]) {
        let now = context::now();
        match self.within() {
            Ordering::Latency => entries.sort_by_key(|it| (self.tier(&it.name), it.latency(now))),
            Ordering::Price => entries.sort_by_key(|it| (self.tier(&it.name), it.price())),
            Ordering::Priority => {}
            Ordering::Weight => entries.sort_by_key(|it| self.tier(&it.name)),
        }
    }

    /// By what the candidates of one tier are put in order.
    pub(super) fn within(&self) -> Ordering {
        if self.by_hand.load(Relaxed) {
            Ordering::Priority
        } else {
            self.by
        }
    }

    fn smallest<K: PartialOrd>(
        &self,
        left: &Left<'_>,
        key: impl Fn(&Profile) -> K,
    ) -> Option<usize> {
        let mut best: Option<(usize, u32, K)> = None;
        for (place, profile) in left.iter() {
            let tier = self.tier(profile.name());
            let key = key(profile);
            let better = best.as_ref().is_none_or(|(_, best_tier, best_key)| {
                tier < *best_tier || (tier == *best_tier && key < *best_key)
            });
            if better {
                best = Some((place, tier, key));
            }
        }
        best.map(|(place, ..)| place)
    }
}

impl Order for Ordered {
    // The order is chosen at run time, so it has to be ready to be asked for the latency.
    const MEASURES: bool = true;

    fn next(&self, left: &Left<'_>) -> Option<usize> {
        match self.within() {
            Ordering::Latency => {
                let now = context::now();
                self.smallest(left, |profile| profile.latency().at(now))
            }
            Ordering::Price => self.smallest(left, Profile::price),
            // The config lists them by tier, and whoever changes that means it.
            Ordering::Priority => left.first(),
            // The first of several waits of exponential length, each at a rate of its own, is
            // drawn in proportion to the rates.
            Ordering::Weight => self.smallest(left, |profile| match profile.weight() {
                0 => f64::INFINITY,
                weight => -(1.0 - fastrand::f64()).ln() / f64::from(weight),
            }),
        }
    }
}
