//! The last so many calls.

use std::num::NonZeroU16;

use crate::window::Tally;

/// The last so many calls, two bits each, with their sums. It is kept under the machine's lock.
#[derive(Debug)]
pub(crate) struct LastCalls {
    failed: Box<[u64]>,
    slow: Box<[u64]>,
    size: u16,
    /// Where the next call goes: over the oldest one, once there are as many as are kept.
    next: u16,
    tally: Tally,
}

impl LastCalls {
    pub(crate) fn new(size: NonZeroU16) -> Self {
        let size = size.get();
        let words = usize::from(size).div_ceil(64);
        Self {
            failed: vec![0; words].into(),
            slow: vec![0; words].into(),
            size,
            next: 0,
            tally: Tally::default(),
        }
    }

    /// How many calls are kept at most.
    pub(crate) fn size(&self) -> usize {
        usize::from(self.size)
    }

    pub(crate) const fn tally(&self) -> Tally {
        self.tally
    }

    /// Adds a call, in the place of the oldest where there is no other.
    pub(crate) fn add(&mut self, failed: bool, slow: bool) {
        let at = usize::from(self.next);
        let (was_failed, was_slow) = (
            put(&mut self.failed, at, failed),
            put(&mut self.slow, at, slow),
        );
        if self.tally.calls < u64::from(self.size) {
            self.tally.calls += 1;
        }
        self.tally.failures = self.tally.failures + u64::from(failed) - u64::from(was_failed);
        self.tally.slow = self.tally.slow + u64::from(slow) - u64::from(was_slow);
        self.next = (self.next + 1) % self.size;
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.failed.fill(0);
        self.slow.fill(0);
        self.next = 0;
        self.tally = Tally::default();
    }

    /// The calls, failed or slow, from the oldest on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (bool, bool)> + '_ {
        // Lossless: there are no more calls than the size, which is a `u16`.
        let len = self.tally.calls as u16;
        let start = u32::from(self.next) + u32::from(self.size) - u32::from(len);
        (0..u32::from(len)).map(move |i| {
            let at = ((start + i) % u32::from(self.size)) as usize;
            (get(&self.failed, at), get(&self.slow, at))
        })
    }
}

fn get(bits: &[u64], at: usize) -> bool {
    bits[at / 64] >> (at % 64) & 1 != 0
}

/// Sets a bit and tells what it was.
fn put(bits: &mut [u64], at: usize, value: bool) -> bool {
    let was = get(bits, at);
    let bit = 1 << (at % 64);
    if value {
        bits[at / 64] |= bit;
    } else {
        bits[at / 64] &= !bit;
    }
    was
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, num::NonZeroU16};

    use proptest::prelude::*;

    use super::LastCalls;
    use crate::window::Tally;

    proptest! {
        #[test]
        fn the_last_calls_are_those_of_a_queue(
            size in 1..200_u16,
            calls in prop::collection::vec(any::<(bool, bool)>(), 0..500),
        ) {
            let mut last = LastCalls::new(NonZeroU16::new(size).unwrap());
            let mut queue = VecDeque::new();
            for call in calls {
                last.add(call.0, call.1);
                queue.push_back(call);
                if queue.len() > usize::from(size) {
                    queue.pop_front();
                }
                let count = |which: fn(&&(bool, bool)) -> bool| queue.iter().filter(which).count();
                let expected = Tally {
                    calls: queue.len() as u64,
                    failures: count(|call| call.0) as u64,
                    slow: count(|call| call.1) as u64,
                };
                prop_assert_eq!(last.tally(), expected);
            }
            prop_assert!(last.iter().eq(queue));
        }
    }
}
