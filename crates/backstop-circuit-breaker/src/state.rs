//! The state machine.
//!
//! It knows no clock: every step is told the time, in microseconds from an instant of the caller's
//! choosing. While the circuit is closed a call touches a word or two by atomic instructions; the
//! changes of state, and the probes of a half-open circuit, are few and take a lock ([`Cold`]).

use crate::{
    Cause, State,
    cold::{Change, Cold, News},
    rules::{Rules, Weight},
    sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, lock},
    token::{Outcome, Reason, Refusal, Token},
    window::{Added, Present, Stale},
    word::{AtomicWord, Word},
};

/// What every call touches comes first and stays together: two threads then pass one line of memory
/// to and fro, and not several.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Machine {
    pub(crate) word: AtomicWord,
    /// Until when calls are refused without the lock: while open or held off, and while
    /// half-open with all probes out.
    pub(crate) until: AtomicU64,
    pub(crate) present: Present,
    news: AtomicBool,
    refused: AtomicU64,
    late: AtomicU64,
    pub(crate) rules: Rules,
    cold: Mutex<Cold>,
}

impl Machine {
    pub(crate) fn new(rules: Rules, cold: Cold) -> Self {
        Self {
            word: AtomicWord::new(Word::new(State::Closed, 0)),
            until: AtomicU64::new(0),
            present: Present::new(rules.width),
            news: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            late: AtomicU64::new(0),
            rules,
            cold: Mutex::new(cold),
        }
    }

    pub(crate) fn cold(&self) -> MutexGuard<'_, Cold> {
        lock(&self.cold)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    // ===== Admission =====

    /// Whether a call would pass without being asked the time.
    #[inline]
    pub(crate) fn passes(&self) -> bool {
        self.word.load().passes()
    }

    /// Why a call would be refused at `now`. It changes nothing.
    #[inline]
    pub(crate) fn refusal(&self, now: u64) -> Option<Refusal> {
        let word = self.word.load();
        let reason = match word.state() {
            State::Closed if word.is_held() => Reason::HeldOff,
            State::Closed | State::Disabled | State::MetricsOnly => return None,
            State::ForcedOpen => {
                return Some(Refusal {
                    reason: Reason::Isolated,
                    wait: Refusal::UNKNOWN,
                });
            }
            State::HalfOpen => Reason::HalfOpen,
            State::Open => Reason::Open,
        };
        let wait = self.until.load(Ordering::Acquire).saturating_sub(now);
        (wait > 0).then_some(Refusal { reason, wait })
    }

    /// Lets a call in without asking the time, where that will do.
    #[inline]
    pub(crate) fn admit(&self) -> Option<Token> {
        let word = self.word.load();
        let unasked = word.passes() && !self.rules.dated;
        unasked.then(|| Token::plain(word.generation()))
    }

    /// Lets a call in, or says why not.
    pub(crate) fn admit_at(&self, now: u64) -> Result<Token, Refusal> {
        match self.refusal(now) {
            Some(refusal) => Err(refusal),
            None => self.admit_locked(now),
        }
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn admit_locked(&self, now: u64) -> Result<Token, Refusal> {
        let cold = &mut self.cold();
        self.tick_locked(cold, now);
        let word = self.word.load();
        if self.refusal(now).is_none() {
            match word.state() {
                State::Closed if word.is_held() => self.word.release(),
                State::Open => self.half_open(cold, now, Cause::WaitOver),
                _ => {}
            }
        }
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        let word = self.word.load();
        let generation = word.generation();
        match word.state() {
            State::HalfOpen => {
                let number = cold.probe(now, &self.rules)?;
                self.bar(cold);
                Ok(Token::probe(generation, number, now))
            }
            State::Closed | State::MetricsOnly if cold.enter(now) => {
                Ok(Token::flying(generation, now))
            }
            _ => Ok(Token::plain(generation)),
        }
    }

    /// Does what the passing of time alone does.
    pub(crate) fn tick(&self, now: u64) {
        let word = self.word.load();
        let counting = matches!(word.state(), State::Closed | State::MetricsOnly);
        if word.is(State::HalfOpen) || (counting && self.rules.dated) {
            self.tick_locked(&mut self.cold(), now);
        }
    }

    fn tick_locked(&self, cold: &mut Cold, now: u64) {
        let word = self.word.load();
        match word.state() {
            State::HalfOpen => {
                let end = cold.since.saturating_add(self.rules.max_half_open);
                if now >= end {
                    // As if a timer had fired then, so that the new wait has begun then.
                    self.open(cold, end, Cause::HalfOpenTooLong, 0);
                } else {
                    cold.reclaim(now);
                    self.bar(cold);
                }
            }
            State::Closed | State::MetricsOnly if cold.slow.is_some() => {
                let tally = cold.tally(now, self);
                if let Some(cause) = cold.too_slow(tally, now, &self.rules) {
                    self.exceed(cold, now, cause, 0);
                }
            }
            _ => {}
        }
    }

    // ===== Results =====

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
        if self.rules.lock_free && token.is_undisturbed(self.word.load()) {
            let current = || token.is_undisturbed(self.word.load());
            let added = self.present.add(now, false, &self.rules, current);
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

    #[inline]
    fn counts(&self, word: Word, generation: u32) -> bool {
        word.generation() == generation && word.is(State::Closed)
    }

    pub(crate) fn fail(&self, token: Token, fault: &backstop_core::Fault, now: u64) {
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
        if self.counts(word, generation) {
            let mut until = now.saturating_add(wait);
            if word.is_held() {
                until = until.max(self.until.load(Ordering::Relaxed));
            }
            self.until.store(until, Ordering::Release);
            self.word.hold();
        }
    }

    // ===== Changes of state =====

    /// A threshold was reached: opens the circuit, or tells so where it only counts.
    fn exceed(&self, cold: &mut Cold, now: u64, cause: Cause, floor: u64) {
        match self.word.load().state() {
            State::Closed => self.open(cold, now, cause, floor),
            State::MetricsOnly if !cold.exceeded => {
                cold.exceeded = true;
                self.tell(cold, News::Exceeded(cause));
            }
            _ => {}
        }
    }

    pub(crate) fn open(&self, cold: &mut Cold, now: u64, cause: Cause, floor: u64) {
        cold.attempt = cold.attempt.saturating_add(1);
        let wait = self
            .rules
            .wait
            .next(cold.attempt, self.rules.jitter, &mut cold.rng)
            .max(floor);
        self.open_for(cold, now, cause, wait);
    }

    pub(crate) fn open_for(&self, cold: &mut Cold, now: u64, cause: Cause, wait: u64) {
        let until = now.saturating_add(wait);
        self.change(cold, State::Open, now, cause, until);
    }

    /// Enters a state because someone said so. One that is there already is left as it is.
    pub(crate) fn force(&self, cold: &mut Cold, to: State, now: u64) {
        let word = self.word.load();
        match to {
            _ if word.is(to) && !word.is_held() => {}
            State::ForcedOpen => self.change(cold, to, now, Cause::ByHand, 0),
            _ => self.begin_counting(cold, to, now, Cause::ByHand),
        }
    }

    pub(crate) fn half_open(&self, cold: &mut Cold, now: u64, cause: Cause) {
        cold.begin_probing();
        self.change(cold, State::HalfOpen, now, cause, 0);
    }

    pub(crate) fn close(&self, cold: &mut Cold, now: u64, cause: Cause) {
        cold.attempt = 0;
        self.begin_counting(cold, State::Closed, now, cause);
    }

    /// Enters a state with an empty window.
    pub(crate) fn begin_counting(&self, cold: &mut Cold, to: State, now: u64, cause: Cause) {
        let word = self.word.load();
        if matches!(word.state(), State::Closed | State::MetricsOnly) {
            // Calls of this generation may be counting themselves just now. They must be late
            // before the window is emptied, so that none of them gets into the empty one.
            let next = Word::new(State::Disabled, word.generation().wrapping_add(1));
            self.word.store(next);
            cold.empty(now, self);
            return self.enter(
                cold,
                word.state(),
                Word::new(to, next.generation()),
                now,
                cause,
                0,
            );
        }
        cold.empty(now, self);
        self.change(cold, to, now, cause, 0);
    }

    pub(crate) fn change(&self, cold: &mut Cold, to: State, now: u64, cause: Cause, until: u64) {
        let word = self.word.load();
        let mut next = Word::new(to, word.generation().wrapping_add(1));
        if to == State::Open {
            next = next.with_consecutive(word.consecutive());
        }
        self.enter(cold, word.state(), next, now, cause, until);
    }

    fn enter(&self, cold: &mut Cold, from: State, next: Word, now: u64, cause: Cause, until: u64) {
        self.until.store(until, Ordering::Release);
        self.word.store(next);
        cold.since = now;
        cold.exceeded = false;
        let to = next.state();
        if from != to {
            let wait = (to == State::Open).then(|| until.saturating_sub(now));
            self.tell(
                cold,
                News::Change(Change {
                    from,
                    to,
                    cause,
                    generation: next.generation(),
                    wait,
                    at: now,
                }),
            );
        }
    }

    /// Has calls refused without the lock while no probe is free.
    fn bar(&self, cold: &Cold) {
        let until = cold.next_place(&self.rules);
        self.until.store(until, Ordering::Release);
    }

    // ===== News =====

    fn tell(&self, cold: &mut Cold, news: News) {
        cold.news.push(news);
        self.news.store(true, Ordering::Release);
    }

    /// Whether there is something to tell.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::Acquire)
    }

    /// The turn to tell what there is to tell, unless another thread has it.
    pub(crate) fn take_turn(&self) -> Option<Turn<'_>> {
        let mut cold = self.cold();
        if cold.telling {
            return None;
        }
        cold.telling = true;
        Some(Turn {
            machine: self,
            over: false,
        })
    }
}

/// One thread's turn to tell what happened, in order and outside the lock.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    machine: &'a Machine,
    over: bool,
}

impl Turn<'_> {
    /// The next thing to tell. After the last the turn is over.
    pub(crate) fn next(&mut self) -> Option<News> {
        let cold = &mut self.machine.cold();
        if cold.news.is_empty() {
            self.machine.news.store(false, Ordering::Release);
            cold.telling = false;
            self.over = true;
            return None;
        }
        Some(cold.news.remove(0))
    }
}

impl Drop for Turn<'_> {
    /// A listener that panicked must not keep the others from hearing.
    fn drop(&mut self) {
        if !self.over {
            self.machine.cold().telling = false;
        }
    }
}
