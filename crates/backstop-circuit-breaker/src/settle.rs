//! What comes of calls: the part of the state machine that takes results.

use backstop_core::Fault;

use crate::{
    Cause, State,
    cold::Cold,
    rules::Weight,
    state::Machine,
    sync::Ordering,
    token::{Outcome, Token},
    window::{Added, Stale},
};

impl Machine {
    /// The call has committed: its response is there, and only its tail is to come. A probe is
    /// judged by that; whether a call was slow is settled.
    pub(crate) fn commit(&self, token: Token, now: u64) -> Token {
        if token.number().is_some() {
            let judged = self.settle_probe(token, Outcome::Success, now);
            return judged.map_or(Token::spent(), Token::tail);
        }
        if token.is_flying() {
            self.land(token);
            return token.committed(self.cold().is_slow(token, now));
        }
        token
    }

    /// Takes a success without asking the time, where that will do.
    #[inline]
    pub(crate) fn succeed(&self, token: Token) -> bool {
        !self.rules.windowed && token.is_undisturbed(self.word.load())
    }

    /// Takes a success.
    #[inline]
    pub(crate) fn succeed_at(&self, token: Token, now: u64) {
        if self.rules.lock_free {
            let undisturbed = || token.is_undisturbed(self.word.load());
            let added = self.present.add(now, false, &self.rules, undisturbed);
            if matches!(added, Ok(Added::Harmless)) {
                return;
            }
            return self.follow_up(added, token, now);
        }
        self.settle(token, Outcome::Success, now);
    }

    /// Does what remains to be done about a success that was not plainly harmless.
    fn follow_up(&self, added: Result<Added, Stale>, token: Token, now: u64) {
        let cause = match added {
            Ok(Added::TooLate) => return self.settle(token, Outcome::Success, now),
            added => self.counted(added, token, false, now),
        };
        if let Some(cause) = cause {
            self.exceed_in(token.generation(), now, cause, 0);
        }
    }

    pub(crate) fn fail(&self, token: Token, fault: &Fault, now: u64) {
        let floor = self.rules.retry_after(fault).unwrap_or(0);
        let outcome = match self.rules.weigh(fault) {
            Weight::AtOnce => Outcome::AtOnce(floor),
            Weight::Failure => Outcome::Failure(floor),
            Weight::HoldOff(wait) => Outcome::HoldOff(wait),
            Weight::Neutral => Outcome::Neutral,
        };
        self.settle(token, outcome, now);
    }

    pub(crate) fn settle(&self, token: Token, outcome: Outcome, now: u64) {
        if token.is_void() {
            // There is nothing to settle.
        } else if token.number().is_some() {
            self.settle_probe(token, outcome, now);
        } else if token.is_tail() {
            self.settle_tail(token, outcome, now);
        } else {
            self.settle_plain(token, outcome, now);
        }
    }

    fn settle_plain(&self, token: Token, outcome: Outcome, now: u64) {
        let (failed, floor) = match outcome {
            Outcome::Neutral => return self.land(token),
            Outcome::HoldOff(wait) => {
                self.land(token);
                return self.hold_off(token.generation(), now, wait);
            }
            Outcome::Success => (false, 0),
            Outcome::Failure(floor) | Outcome::AtOnce(floor) => (true, floor),
        };
        match self.word.load().state() {
            State::Closed | State::MetricsOnly => {}
            State::Disabled => return,
            _ => return self.count_late(),
        }
        let run = if failed {
            self.word.extend_run(token.generation())
        } else {
            self.word.end_run(token.generation())
        };
        let Some(word) = run else {
            return self.count_late();
        };
        let most = self.rules.consecutive;
        let in_a_row = failed && most != 0 && word.consecutive() >= most;
        let counted = self.count(token, failed, now);
        let cause = if matches!(outcome, Outcome::AtOnce(_)) {
            Some(Cause::AtOnce)
        } else if in_a_row {
            Some(Cause::ConsecutiveFailures)
        } else {
            counted
        };
        if let Some(cause) = cause {
            self.exceed_in(token.generation(), now, cause, floor);
        }
    }

    fn exceed_in(&self, generation: u32, now: u64, cause: Cause, floor: u64) {
        let cold = &mut self.cold();
        if self.word.load().generation() == generation {
            self.exceed(cold, now, cause, floor);
        }
    }

    /// Counts a call in the window, and says which threshold that has reached.
    fn count(&self, token: Token, failed: bool, now: u64) -> Option<Cause> {
        if !self.rules.lock_free {
            return self.count_locked(token, failed, now);
        }
        let current = || self.word.load().generation() == token.generation();
        let added = self.present.add(now, failed, &self.rules, current);
        self.counted(added, token, failed, now)
    }

    fn counted(
        &self,
        added: Result<Added, Stale>,
        token: Token,
        failed: bool,
        now: u64,
    ) -> Option<Cause> {
        match added {
            Ok(Added::Harmless) => None,
            Ok(Added::Tally(tally)) => self.rules.too_many(tally),
            Ok(Added::TooLate) => {
                self.count_late();
                None
            }
            Ok(Added::Unknown) => {
                let cold = &mut self.cold();
                self.rules.too_many(cold.tally(now, self))
            }
            Err(Stale) => self.count_locked(token, failed, now),
        }
    }

    fn count_locked(&self, token: Token, failed: bool, now: u64) -> Option<Cause> {
        if !self.rules.windowed {
            return None;
        }
        let cold = &mut self.cold();
        if self.word.load().generation() != token.generation() {
            self.count_late();
            return None;
        }
        if token.is_flying() {
            cold.leave(token.began());
        }
        let slow = cold.is_slow(token, now);
        let tally = cold.add(failed, slow, now, self);
        let too_slow = || cold.too_slow(tally, now, &self.rules);
        self.rules.too_many(tally).or_else(too_slow)
    }

    /// Settles a probe. Where it was judged a success it tells the generation that its tail belongs
    /// to.
    fn settle_probe(&self, token: Token, outcome: Outcome, now: u64) -> Option<u32> {
        let cold = &mut self.cold();
        self.tick_locked(cold, now);
        let is_out = token.number().is_some_and(|number| cold.take_back(number));
        if self.word.load().generation() != token.generation() || !is_out {
            if outcome != Outcome::Neutral {
                self.count_late();
            }
            return None;
        }
        let outcome = match outcome {
            Outcome::Success if cold.is_slow(token, now) => Outcome::Failure(0),
            outcome => outcome,
        };
        self.judge(cold, outcome, now);
        (outcome == Outcome::Success).then(|| self.word.load().generation())
    }

    /// Decides a half-open circuit as soon as the probes that are still out can't change it.
    fn judge(&self, cold: &mut Cold, outcome: Outcome, now: u64) {
        let floor = match outcome {
            Outcome::Neutral => return self.bar(cold),
            Outcome::Success => {
                cold.succeeded += 1;
                if cold.succeeded >= self.rules.probes - self.rules.probe_failures {
                    return self.close(cold, now, Cause::ProbesSucceeded);
                }
                return self.bar(cold);
            }
            Outcome::Failure(floor) | Outcome::AtOnce(floor) => floor,
            Outcome::HoldOff(wait) => wait.unwrap_or(0),
        };
        cold.failed += 1;
        if cold.failed > self.rules.probe_failures || matches!(outcome, Outcome::AtOnce(_)) {
            self.open(cold, now, Cause::ProbeFailed, floor);
        } else {
            self.bar(cold);
        }
    }

    /// The tail of a probe that was judged a success. While others are still being judged its
    /// failure takes that back; later it counts like any other call of the circuit it closed.
    fn settle_tail(&self, token: Token, outcome: Outcome, now: u64) {
        if matches!(outcome, Outcome::Success | Outcome::Neutral) {
            return;
        }
        let mut generation = token.generation();
        {
            let cold = &mut self.cold();
            let word = self.word.load();
            if word.generation() == generation && word.is(State::HalfOpen) && cold.succeeded > 0 {
                cold.succeeded -= 1;
                return self.judge(cold, outcome, now);
            }
            if word.generation() == generation.wrapping_add(1) && word.is(State::Closed) {
                generation = word.generation();
            }
        }
        self.settle_plain(token.as_plain(generation), outcome, now);
    }

    /// Takes a call that ends without a result from those in flight.
    fn land(&self, token: Token) {
        if token.is_flying() {
            let cold = &mut self.cold();
            if self.word.load().generation() == token.generation() {
                cold.leave(token.began());
            }
        }
    }

    fn count_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    fn hold_off(&self, generation: u32, now: u64, wait: Option<u64>) {
        let Some(wait) = wait else { return };
        let _cold = self.cold();
        let word = self.word.load();
        if word.generation() == generation && word.is(State::Closed) {
            let mut until = now.saturating_add(wait);
            if word.is_held() {
                until = until.max(self.until.load(Ordering::Relaxed));
            }
            self.until.store(until, Ordering::Release);
            self.word.hold();
        }
    }
}
