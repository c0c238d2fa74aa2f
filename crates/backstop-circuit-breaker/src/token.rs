//! What an admitted call holds, and what came of it.

use std::time::Duration;

use backstop_core::Reason;

use crate::word::Word;

/// An admitted call's claim on its circuit: the generation that let it in, and its part in it.
///
/// Every call carries one about, so it is two words. The part is a number and a few flags, none of
/// them set for a call of a closed circuit of which nothing more need be known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    /// The generation in the upper half, the part in the lower.
    claim: u64,
    /// When the call began, where that matters.
    began: u64,
}

/// The lowest bits of the part, unless it is that of a plain call. No state has them, so that only
/// a plain call's claim can be the word of a circuit.
const NOT_PLAIN: u32 = 0b111;
/// The part has a number, in these bits: the tail's, or one of the probes'.
const NUMBER: u32 = 0x0fff_fff8;
const NUMBER_SHIFT: u32 = NUMBER.trailing_zeros();
/// The tail of a probe that has been judged: it can only fail now.
const TAIL: u32 = 1;
/// The numbers of probes begin here.
const PROBES: u32 = 2;
/// There is no claim. Where the call was refused the other half of the claim says why, and the
/// instant for how long.
const VOID: u32 = 1 << 28;
/// Whether the call took too long to commit, where that is known.
const SLOW: u32 = 1 << 29;
const TIMELY: u32 = 1 << 30;
/// The call is counted among those in flight.
const FLYING: u32 = 1 << 31;

impl Token {
    #[inline]
    const fn new(generation: u32, part: u32, began: u64) -> Self {
        Self {
            claim: (generation as u64) << 32 | part as u64,
            began,
        }
    }

    /// A call of a closed circuit. Its claim is the very word of that circuit.
    #[inline]
    pub(crate) const fn plain(generation: u32) -> Self {
        Self::new(generation, 0, 0)
    }

    /// A call that is counted among those in flight since `began`.
    pub(crate) const fn flying(generation: u32, began: u64) -> Self {
        Self::new(generation, FLYING | NOT_PLAIN, began)
    }

    /// A probe by its number, which is of those that [`next_probe`](Self::next_probe) gives.
    pub(crate) const fn probe(generation: u32, number: u32, began: u64) -> Self {
        Self::new(generation, number << NUMBER_SHIFT | NOT_PLAIN, began)
    }

    /// The number of the probe after this one.
    pub(crate) const fn next_probe(last: u32) -> u32 {
        if last < PROBES || last >= NUMBER >> NUMBER_SHIFT {
            PROBES
        } else {
            last + 1
        }
    }

    /// The tail of a probe that was judged a success, in the generation that began by it or goes on.
    pub(crate) const fn tail(generation: u32) -> Self {
        Self::new(generation, TAIL << NUMBER_SHIFT | TIMELY | NOT_PLAIN, 0)
    }

    /// The same call, as one of a closed circuit's.
    pub(crate) const fn as_plain(self, generation: u32) -> Self {
        Self::new(generation, self.part() & !NUMBER, self.began)
    }

    /// The same call once it has committed.
    pub(crate) const fn committed(self, slow: bool) -> Self {
        let speed = if slow { SLOW } else { TIMELY };
        Self::new(self.generation(), self.part() & !FLYING | speed, self.began)
    }

    /// No claim: the call is refused.
    pub(crate) const fn refused(refusal: Refusal) -> Self {
        Self::new(refusal.reason as u32, VOID | NOT_PLAIN, refusal.wait)
    }

    /// Why the call is refused.
    pub(crate) const fn refusal(self) -> Refusal {
        Refusal {
            reason: Reason::ALL[self.generation() as usize % Reason::ALL.len()],
            wait: self.began,
        }
    }

    /// A claim that has lost its force: the call can't move anything any more.
    pub(crate) const fn spent() -> Self {
        Self::new(0, VOID | NOT_PLAIN, 0)
    }

    #[inline]
    pub(crate) const fn is_void(self) -> bool {
        self.part() & VOID != 0
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.claim >> 32) as u32
    }

    #[inline]
    const fn part(self) -> u32 {
        self.claim as u32
    }

    /// When the call began, where that matters.
    pub(crate) const fn began(self) -> u64 {
        self.began
    }

    /// Whether the call is a plain one, and the circuit is as it was when it let it in: closed, not
    /// held off, in the same generation, and with no failure since the last success.
    #[inline]
    pub(crate) const fn is_undisturbed(self, word: Word) -> bool {
        self.claim == word.bits()
    }

    /// Whether the circuit keeps nothing for the call and need know nothing more of it.
    #[inline]
    pub(crate) const fn is_simple(self) -> bool {
        self.part() == 0
    }

    pub(crate) const fn is_flying(self) -> bool {
        self.part() & FLYING != 0
    }

    pub(crate) const fn is_tail(self) -> bool {
        self.part() & NUMBER == TAIL << NUMBER_SHIFT
    }

    /// The number of the probe that it is.
    pub(crate) const fn number(self) -> Option<u32> {
        match (self.part() & NUMBER) >> NUMBER_SHIFT {
            0 | TAIL => None,
            number => Some(number),
        }
    }

    /// Whether the call took too long to commit, once it has committed.
    pub(crate) const fn slow(self) -> Option<bool> {
        match self.part() & (SLOW | TIMELY) {
            0 => None,
            speed => Some(speed & SLOW != 0),
        }
    }

    /// Whether the circuit keeps something for the call that must be given back.
    pub(crate) const fn is_kept(self) -> bool {
        self.is_flying() || self.number().is_some()
    }
}

/// What came of a call, as the circuit counts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// A failure that opens the circuit by itself, for so long at least.
    AtOnce(u64),
    /// A failure; if the circuit opens by it, then for so long at least.
    Failure(u64),
    /// The service asked to be left alone, for so long if it said.
    HoldOff(Option<u64>),
    Neutral,
    Success,
}

/// Why a call is refused, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// In microseconds; unknown where only a person can tell.
    pub(crate) wait: u64,
}

impl Refusal {
    pub(crate) const UNKNOWN: u64 = u64::MAX;

    pub(crate) const fn wait(&self) -> Option<Duration> {
        match self.wait {
            Self::UNKNOWN => None,
            wait => Some(Duration::from_micros(wait)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_probes_begin_anew_before_they_run_out_and_are_never_a_tails() {
        let last = NUMBER >> NUMBER_SHIFT;
        assert_eq!(Token::next_probe(0), PROBES);
        assert_eq!(Token::next_probe(last - 1), last);
        assert_eq!(Token::next_probe(last), PROBES);
        for number in [PROBES, last] {
            let probe = Token::probe(7, number, 11);
            assert_eq!((probe.number(), probe.generation()), (Some(number), 7));
            assert!(!probe.is_tail() && !probe.is_void() && !probe.is_flying());
        }
    }
}
