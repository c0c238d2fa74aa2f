//! The state, its generation and the run of failures, in one word.

use crate::{
    State,
    sync::{AtomicU64, Ordering},
};

/// The state of a circuit, packed so that a single load tells whether a call passes.
///
/// ```text
/// 63 ........ 32 31 ............... 4   3    2 . 0
///   generation     failures in a row   held  state
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Word(u64);

const HELD: u64 = 1 << 3;
const STATE: u64 = 0b111;
const ONE: u64 = 1 << 4;
const CONSECUTIVE: u64 = 0xffff_fff0;

impl Word {
    pub(crate) const fn new(state: State, generation: u32) -> Self {
        Self((generation as u64) << 32 | state as u64)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Closed and not held off: the one case in which a call passes unasked.
    #[inline]
    pub(crate) const fn passes(self) -> bool {
        self.0 & (STATE | HELD) == State::Closed as u64
    }

    pub(crate) const fn state(self) -> State {
        State::from_bits(self.0 & STATE)
    }

    #[inline]
    pub(crate) const fn is(self, state: State) -> bool {
        self.0 & STATE == state as u64
    }

    pub(crate) const fn is_held(self) -> bool {
        self.0 & HELD != 0
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) const fn consecutive(self) -> u32 {
        ((self.0 & CONSECUTIVE) >> 4) as u32
    }

    /// The same word with this many failures in a row.
    pub(crate) const fn with_consecutive(self, failures: u32) -> Self {
        let failures = (failures as u64) << 4;
        let failures = if failures > CONSECUTIVE {
            CONSECUTIVE
        } else {
            failures
        };
        Self(self.0 & !CONSECUTIVE | failures)
    }

    const fn one_more(self) -> Self {
        if self.0 & CONSECUTIVE == CONSECUTIVE {
            self
        } else {
            Self(self.0 + ONE)
        }
    }
}

/// The word that a circuit's threads share.
///
/// The state and its generation change under the machine's lock only; the run of failures by
/// compare-and-swap, and so never in a generation that has passed.
#[derive(Debug)]
pub(crate) struct AtomicWord(AtomicU64);

impl AtomicWord {
    pub(crate) fn new(word: Word) -> Self {
        Self(AtomicU64::new(word.0))
    }

    #[inline]
    pub(crate) fn load(&self) -> Word {
        Word(self.0.load(Ordering::Acquire))
    }

    /// Publishes a new state.
    pub(crate) fn store(&self, word: Word) {
        self.0.swap(word.0, Ordering::AcqRel);
    }

    pub(crate) fn hold(&self) {
        self.0.fetch_or(HELD, Ordering::AcqRel);
    }

    pub(crate) fn release(&self) {
        self.0.fetch_and(!HELD, Ordering::AcqRel);
    }

    /// Ends the run of failures, unless the generation has passed.
    pub(crate) fn end_run(&self, generation: u32) -> Option<Word> {
        self.update(generation, |word| word.with_consecutive(0))
    }

    /// Adds to the run of failures, unless the generation has passed.
    pub(crate) fn extend_run(&self, generation: u32) -> Option<Word> {
        self.update(generation, Word::one_more)
    }

    fn update(&self, generation: u32, change: impl Fn(Word) -> Word) -> Option<Word> {
        let mut word = self.load();
        while word.generation() == generation {
            let new = change(word);
            match self
                .0
                .compare_exchange_weak(word.0, new.0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(new),
                Err(now) => word = Word(now),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_longer_than_can_be_counted_changes_nothing_else() {
        let word = Word::new(State::Closed, 7).with_consecutive(3);
        assert_eq!((word.consecutive(), word.generation()), (3, 7));
        let longest = word.with_consecutive(u32::MAX);
        assert_eq!(u64::from(longest.consecutive()), CONSECUTIVE >> 4);
        for longest in [longest, longest.one_more()] {
            assert_eq!(longest.generation(), 7);
            assert!(longest.passes());
            assert_eq!(longest.with_consecutive(3).bits(), word.bits());
        }
    }
}
