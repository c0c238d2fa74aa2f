//! The calls that have been under way for so long that they are slow, whenever they may end.

use crate::{
    rules::{Rules, share},
    window::Tally,
};

/// How finely starts are told apart: an eighth of the time after which a call is slow.
const SLOTS: usize = 9;

/// The calls in flight, by when they began, in fixed memory. It is kept under the machine's lock,
/// and only where there is a rule on slow calls.
///
/// Calls that began in the same eighth of `after` are counted together and are found slow when the
/// last of them is: never early, and late by an eighth at most. When a slot is needed again all
/// in it have been slow for a while; those still under way are counted in `hung` from then on.
#[derive(Debug)]
pub(crate) struct Flight {
    after: u64,
    /// Which share of slow calls is too many.
    rate: f64,
    slots: [Slot; SLOTS],
    hung: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which eighth of time, counted from the first.
    index: u64,
    calls: u32,
    /// When the last of the calls began.
    last: u64,
}

impl Flight {
    pub(crate) fn new(after: u64, rate: f64) -> Self {
        Self {
            after,
            rate,
            slots: Default::default(),
            hung: 0,
        }
    }

    /// A call began. An instant a little older than the last one known is taken as it is.
    pub(crate) fn enter(&mut self, began: u64) {
        let index = self.index(began);
        let slot = &mut self.slots[(index % SLOTS as u64) as usize];
        if slot.index < index {
            self.hung += u64::from(slot.calls);
            *slot = Slot {
                index,
                ..Slot::default()
            };
        } else if slot.index > index {
            self.hung += 1;
            return;
        }
        slot.calls = slot.calls.saturating_add(1);
        slot.last = slot.last.max(began);
    }

    /// A call that entered has ended, or has committed.
    pub(crate) fn leave(&mut self, began: u64) {
        let index = self.index(began);
        let slot = &mut self.slots[(index % SLOTS as u64) as usize];
        if slot.index == index {
            slot.calls = slot.calls.saturating_sub(1);
        } else {
            self.hung = self.hung.saturating_sub(1);
        }
    }

    /// How many calls in flight are slow at `now`.
    pub(crate) fn slow(&self, now: u64) -> u64 {
        let slow = |slot: &&Slot| slot.last.saturating_add(self.after) <= now;
        let slots = self.slots.iter().filter(slow);
        self.hung + slots.map(|slot| u64::from(slot.calls)).sum::<u64>()
    }

    /// Whether the calls of a window, and those in flight that are slow already, have reached the
    /// rate.
    pub(crate) fn is_too_slow(&self, tally: Tally, now: u64, rules: &Rules) -> bool {
        let slow_in_flight = self.slow(now);
        let calls = tally.calls + slow_in_flight;
        calls >= u64::from(rules.min_calls)
            && share(tally.slow + slow_in_flight, calls) >= self.rate
    }

    /// Whether a call was slow that began then and ended, or committed, at `now`.
    pub(crate) const fn was_slow(&self, began: u64, now: u64) -> bool {
        now.saturating_sub(began) >= self.after
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.after, self.rate);
    }

    fn index(&self, began: u64) -> u64 {
        // Rounded up, so that whoever finds its slot needed again has been slow by then.
        began / self.after.div_ceil(SLOTS as u64 - 1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Flight;

    proptest! {
        #[test]
        fn slow_calls_are_found_never_early_and_late_by_an_eighth_at_most(
            after in 1..5_000_u64,
            steps in prop::collection::vec(
                (0..2_000_u64, 0..20_000_u64, any::<Option<usize>>()),
                1..200,
            ),
        ) {
            let mut flight = Flight::new(after, 1.0);
            let mut calls = Vec::new();
            let mut now = 0;
            for (wait, back, ended) in steps {
                now += wait;
                // Where threads race, one that began earlier may be told of later.
                let began = now.saturating_sub(back.saturating_sub(10_000));
                match ended {
                    Some(which) if !calls.is_empty() => {
                        flight.leave(calls.swap_remove(which % calls.len()));
                    }
                    _ => {
                        flight.enter(began);
                        calls.push(began);
                    }
                }
                let slow_for = |over: u64| {
                    let slow = |began: &&u64| now - **began >= after + over;
                    calls.iter().filter(slow).count() as u64
                };
                let found = flight.slow(now);
                prop_assert!(found <= slow_for(0));
                prop_assert!(found >= slow_for(after / 8 + 1));
            }
            for began in calls {
                flight.leave(began);
            }
            prop_assert_eq!(flight.slow(u64::MAX), 0);
        }
    }
}
