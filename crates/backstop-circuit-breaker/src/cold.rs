//! What changes rarely, and under the machine's lock.

use backstop_core::Reason;
use tokio::sync::broadcast;

use crate::{
    Cause, Policy, State, Transition,
    calls::LastCalls,
    flight::Flight,
    rate::Span,
    rules::Rules,
    state::Machine,
    token::{Refusal, Token},
    wait::micros,
    window::{Past, Tally},
};

#[derive(Debug)]
pub(crate) struct Cold {
    /// When the state was entered.
    pub(crate) since: u64,
    /// How many times the circuit has opened since it was last closed.
    pub(crate) attempt: u32,
    /// The probes that are out.
    probes: Vec<Probe>,
    last_probe: u32,
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
    /// How many keep the circuit isolated.
    pub(crate) isolated: u32,
    /// Whether it was told, in this state, that a threshold was reached.
    pub(crate) exceeded: bool,
    /// Whether a thread is telling the news.
    pub(crate) telling: bool,
    pub(crate) past: Past,
    pub(crate) last: Option<Box<LastCalls>>,
    /// The calls in flight, where there is a rule on slow ones.
    pub(crate) slow: Option<Box<Flight>>,
    pub(crate) rng: fastrand::Rng,
    /// What there is to tell, the oldest first.
    pub(crate) news: Vec<News>,
    /// Made when someone first asks to follow the changes of state.
    pub(crate) followers: Option<broadcast::Sender<Transition>>,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    number: u32,
    lease_end: u64,
}

/// Something to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    Change(Change),
    Exceeded(Cause),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: Cause,
    pub(crate) generation: u32,
    pub(crate) wait: Option<u64>,
    pub(crate) at: u64,
}

impl Cold {
    pub(crate) fn new<L>(policy: &Policy<L>, rules: &Rules) -> Self {
        let last = match policy.window.0 {
            Span::Calls(calls) if rules.last_calls => Some(Box::new(LastCalls::new(calls))),
            _ => None,
        };
        Self {
            since: 0,
            attempt: 0,
            probes: Vec::new(),
            last_probe: 0,
            succeeded: 0,
            failed: 0,
            isolated: 0,
            exceeded: false,
            telling: false,
            past: Past::new(rules.width),
            last,
            slow: policy
                .slow
                .map(|(after, rate)| Box::new(Flight::new(micros(after), rate.get()))),
            rng: policy
                .seed
                .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            news: Vec::new(),
            followers: None,
        }
    }

    // ===== Probes =====

    /// A new set of probes, none of them out.
    pub(crate) fn begin_probing(&mut self) {
        self.probes.clear();
        self.succeeded = 0;
        self.failed = 0;
    }

    /// Sends a probe out, if there is one left.
    pub(crate) fn probe(&mut self, now: u64, rules: &Rules) -> Result<u32, Refusal> {
        let until = self.next_place(rules);
        if until > now {
            return Err(Refusal {
                reason: Reason::HalfOpen,
                wait: until - now,
            });
        }
        self.last_probe = Token::next_probe(self.last_probe);
        self.probes.push(Probe {
            number: self.last_probe,
            lease_end: now.saturating_add(rules.probe_lease),
        });
        Ok(self.last_probe)
    }

    /// When a probe is to be had: 0 where there is one now.
    pub(crate) fn next_place(&self, rules: &Rules) -> u64 {
        if self.probes_out() + self.succeeded + self.failed < rules.probes {
            return 0;
        }
        let end = self.since.saturating_add(rules.max_half_open);
        let leases = self.probes.iter().map(|probe| probe.lease_end);
        leases.chain([end]).min().unwrap_or(end)
    }

    /// Takes back the places of probes whose lease is over.
    pub(crate) fn reclaim(&mut self, now: u64) {
        self.probes.retain(|probe| probe.lease_end > now);
    }

    /// Takes back the place of a probe that has ended. False where it had lost it before.
    pub(crate) fn take_back(&mut self, number: u32) -> bool {
        let place = self.probes.iter().position(|probe| probe.number == number);
        place.map(|place| self.probes.swap_remove(place)).is_some()
    }

    pub(crate) fn probes_out(&self) -> u32 {
        // Lossless: there are never more than the policy's `u32` says.
        self.probes.len() as u32
    }

    // ===== Counts =====

    /// Counts a call that ended, and tells how many there are now.
    pub(crate) fn add(&mut self, failed: bool, slow: bool, now: u64, machine: &Machine) -> Tally {
        if let Some(last) = &mut self.last {
            last.add(failed, slow);
            return last.tally();
        }
        self.past
            .add(now, failed, slow, &machine.present, &machine.rules);
        self.past.tally(&machine.present)
    }

    /// The calls in the window at `now`.
    pub(crate) fn tally(&mut self, now: u64, machine: &Machine) -> Tally {
        if let Some(last) = &self.last {
            return last.tally();
        }
        if machine.rules.width == 0 {
            return Tally::default();
        }
        self.past.roll(now, &machine.present, &machine.rules);
        self.past.tally(&machine.present)
    }

    /// How many calls in flight are slow already.
    pub(crate) fn slow_in_flight(&self, now: u64) -> u64 {
        self.slow.as_ref().map_or(0, |flight| flight.slow(now))
    }

    /// A call begins. False where those in flight are not counted.
    pub(crate) fn enter(&mut self, now: u64) -> bool {
        if let Some(flight) = &mut self.slow {
            flight.enter(now);
        }
        self.slow.is_some()
    }

    /// Whether the rate of slow calls is reached.
    pub(crate) fn too_slow(&self, tally: Tally, now: u64, rules: &Rules) -> Option<Cause> {
        let flight = self.slow.as_ref()?;
        let reached = flight.is_too_slow(tally, now, rules);
        reached.then_some(Cause::SlowCallRate)
    }

    /// Whether a call took too long to commit, which it does now if it has not yet.
    pub(crate) fn is_slow(&self, token: Token, now: u64) -> bool {
        let was_slow = |flight: &Flight| flight.was_slow(token.began(), now);
        let is_slow = || self.slow.as_deref().is_some_and(was_slow);
        token.slow().unwrap_or_else(is_slow)
    }

    /// A call is no longer in flight.
    pub(crate) fn leave(&mut self, began: u64) {
        if let Some(flight) = &mut self.slow {
            flight.leave(began);
        }
    }

    /// Forgets all calls.
    pub(crate) fn empty(&mut self, now: u64, machine: &Machine) {
        if machine.rules.width != 0 {
            self.past.clear(now, &machine.present, &machine.rules);
        }
        if let Some(last) = &mut self.last {
            last.clear();
        }
        if let Some(flight) = &mut self.slow {
            flight.clear();
        }
    }
}
