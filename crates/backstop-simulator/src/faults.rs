use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::fault::{Effect, Fault};

/// The faults that are set: the first one meets the calls until its `times` are used up.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<VecDeque<Active>>);

#[derive(Debug)]
struct Active {
    fault: Fault,
    left: Option<u64>,
    dice: fastrand::Rng,
}

impl Faults {
    /// Replaces whatever was set.
    pub(crate) fn set(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.lock() = faults.into_iter().map(Active::new).collect();
    }

    /// The fault that the next call meets.
    pub(crate) fn take(&self) -> Option<Fault> {
        let mut faults = self.lock();
        while faults.front().is_some_and(|active| active.left == Some(0)) {
            faults.pop_front();
        }
        faults.front_mut()?.take()
    }

    /// Whether the next call would find the connection refused.
    pub(crate) fn refuses(&self) -> bool {
        self.lock()
            .iter()
            .find(|active| active.left != Some(0))
            .is_some_and(|active| active.fault.effect == Effect::Refuse)
    }

    /// The faults still to come, by name, with the number of calls that each is meant for.
    pub(crate) fn pending(&self) -> Vec<(String, Option<u64>)> {
        self.lock()
            .iter()
            .filter(|active| active.left != Some(0))
            .map(|active| (active.fault.name().to_owned(), active.left))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Active>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    fn new(fault: Fault) -> Self {
        let seed = fault.chance.map_or(0, |(_, seed)| seed);
        Self {
            left: fault.times,
            dice: fastrand::Rng::with_seed(seed),
            fault,
        }
    }

    fn take(&mut self) -> Option<Fault> {
        if let Some((probability, _)) = self.fault.chance {
            if self.dice.f64() >= probability {
                return None;
            }
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
        }
        Some(self.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(faults: &Faults, calls: usize) -> Vec<Option<String>> {
        (0..calls)
            .map(|_| faults.take().map(|fault| fault.to_string()))
            .collect()
    }

    #[test]
    fn a_fault_stays_until_it_is_taken_away() {
        let faults = Faults::default();
        faults.set([Fault::hang()]);
        assert_eq!(names(&faults, 3), vec![Some("hang".to_owned()); 3]);
        faults.set([]);
        assert_eq!(names(&faults, 1), [None]);
    }

    #[test]
    fn a_sequence_moves_on_when_a_fault_is_used_up() {
        let faults = Faults::default();
        faults.set([
            Fault::error().times(2),
            Fault::none().times(1),
            Fault::reset().times(1),
        ]);
        let expected = ["error", "error", "none", "reset"].map(|name| Some(name.to_owned()));
        assert_eq!(names(&faults, 4), expected);
        assert_eq!(names(&faults, 2), [None, None]);
    }

    #[test]
    fn the_same_seed_throws_the_same_dice() {
        let draw = |seed| {
            let faults = Faults::default();
            faults.set([Fault::error().probability(0.5, seed)]);
            names(&faults, 64)
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let hits = draw(1).iter().flatten().count();
        assert!((16..48).contains(&hits), "{hits} of 64 at one half");
    }

    #[test]
    fn a_probability_of_nought_never_meets_a_call_and_one_always_does() {
        let faults = Faults::default();
        faults.set([Fault::error().probability(0.0, 1)]);
        assert_eq!(names(&faults, 20).iter().flatten().count(), 0);
        faults.set([Fault::error().probability(1.0, 1)]);
        assert_eq!(names(&faults, 20).iter().flatten().count(), 20);
    }
}
