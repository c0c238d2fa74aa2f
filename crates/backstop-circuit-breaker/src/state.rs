//! The state machine.
//!
//! It knows no clock: every step is told the time, in microseconds from an instant of the caller's
//! choosing. While the circuit is closed a call touches a word or two by atomic instructions; the
//! changes of state, and the probes of a half-open circuit, are few and take a lock ([`Cold`]).

use backstop_core::Reason;

use crate::{
    Cause, State,
    cold::{Change, Cold, News},
    rules::Rules,
    sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, lock},
    token::{Refusal, Token},
    window::Present,
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
    pub(crate) late: AtomicU64,
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

    pub(crate) fn tick_locked(&self, cold: &mut Cold, now: u64) {
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

    // ===== Changes of state =====

    /// A threshold was reached: opens the circuit, or tells so where it only counts.
    pub(crate) fn exceed(&self, cold: &mut Cold, now: u64, cause: Cause, floor: u64) {
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
    pub(crate) fn bar(&self, cold: &Cold) {
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
