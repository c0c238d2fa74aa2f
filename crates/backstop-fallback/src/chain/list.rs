use std::{collections::BTreeMap, sync::Arc};

use backstop_core::Name;

use crate::{
    Candidate, InvalidChain, UnknownCandidate,
    chain::Profile,
    order::{Left, Order, first},
};

/// The candidates at one moment, in order: a call keeps the one that it started with.
pub(crate) struct List<S, M> {
    candidates: Box<[Arc<Candidate<S, M>>]>,
    /// The places of each tier, the best first.
    tiers: Box<[Places]>,
    /// The places whose candidates may be asked.
    enabled: Places,
}

/// A set of places in a list, one bit each.
pub(crate) type Places = u64;

pub(crate) const MAX: usize = Places::BITS as usize;

impl<S, M> List<S, M> {
    pub(crate) fn new(
        candidates: impl IntoIterator<Item = Candidate<S, M>>,
    ) -> Result<Self, InvalidChain> {
        let candidates: Box<[_]> = candidates.into_iter().map(Arc::new).collect();
        if candidates.len() > MAX {
            return Err(InvalidChain::TooMany(candidates.len()));
        }
        for (place, candidate) in candidates.iter().enumerate() {
            let name = candidate.name();
            if candidates[..place].iter().any(|other| other.name() == name) {
                return Err(InvalidChain::Duplicate(name.clone()));
            }
        }
        let enabled = (0..candidates.len()).fold(0, |set, place| set | 1 << place);
        Ok(Self::of(candidates, enabled))
    }

    fn of(candidates: Box<[Arc<Candidate<S, M>>]>, enabled: Places) -> Self {
        let mut tiers = BTreeMap::<u8, Places>::new();
        for (place, candidate) in candidates.iter().enumerate() {
            *tiers.entry(candidate.profile().tier()).or_default() |= 1 << place;
        }
        Self {
            candidates,
            tiers: tiers.into_values().collect(),
            enabled,
        }
    }

    pub(crate) const fn enabled(&self) -> Places {
        self.enabled
    }

    pub(crate) fn at(&self, place: usize) -> &Arc<Candidate<S, M>> {
        &self.candidates[place]
    }

    /// Every candidate, in order, and whether it is enabled.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<Candidate<S, M>>, bool)> {
        let enabled = self.enabled;
        let candidates = self.candidates.iter().enumerate();
        candidates.map(move |(place, candidate)| (candidate, enabled & 1 << place != 0))
    }

    pub(crate) fn find(&self, name: &str) -> Result<usize, UnknownCandidate> {
        let found = self.candidates.iter().position(|c| &**c.name() == name);
        found.ok_or_else(|| UnknownCandidate(name.into()))
    }

    /// Those of the places whose candidates are such.
    pub(crate) fn places(
        &self,
        mut places: Places,
        such: impl Fn(&Candidate<S, M>) -> bool,
    ) -> Places {
        let mut found = 0;
        while let Some(place) = first(places) {
            places &= places - 1;
            found |= Places::from(such(self.at(place))) << place;
        }
        found
    }

    /// Which of the places is next: one of the best tier among them.
    pub(crate) fn pick<O: Order>(&self, order: &O, places: Places) -> Option<usize> {
        let mut tiers = self.tiers.iter().map(|tier| tier & places);
        let places = tiers.find(|tier| *tier != 0)?;
        let profile = |place: usize| -> &Profile { self.at(place).profile() };
        let place = order.next(&Left::new(&profile, places));
        place
            .filter(|place| *place < MAX && places & 1 << place != 0)
            .or(first(places))
    }

    /// The same list, with this candidate enabled or not.
    pub(crate) fn with_enabled(&self, place: usize, enable: bool) -> Self {
        let bit = 1 << place;
        let enabled = if enable {
            self.enabled | bit
        } else {
            self.enabled & !bit
        };
        Self::of(self.candidates.clone(), enabled)
    }

    /// The same candidates, those at `places` first and, where `rest` says so, the others after
    /// them in their former order.
    pub(crate) fn arranged(&self, places: &[usize], rest: bool) -> Self {
        let mut order: Vec<usize> = Vec::with_capacity(self.candidates.len());
        for &place in places {
            if !order.contains(&place) {
                order.push(place);
            }
        }
        if rest {
            let others = (0..self.candidates.len()).filter(|place| !places.contains(place));
            order.extend(others);
        }
        let enabled = order
            .iter()
            .enumerate()
            .fold(0, |set, (new, old)| set | (self.enabled >> old & 1) << new);
        let candidates = order.iter().map(|&place| self.at(place).clone());
        Self::of(candidates.collect(), enabled)
    }

    /// The places of these names.
    pub(crate) fn places_of<N: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Vec<usize>, UnknownCandidate> {
        let places = names.into_iter().map(|name| self.find(name.as_ref()));
        places.collect()
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.candidates.iter().map(|candidate| candidate.name())
    }
}
