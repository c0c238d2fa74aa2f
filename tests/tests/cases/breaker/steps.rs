//! Steps in turn, and what must hold after each.

use std::{sync::atomic::Ordering, time::Duration};

use backstop_circuit_breaker::{Cause, State};
use backstop_core::Gate;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    settings::Settings,
    subject::{Outcome, Subject, advance},
};
use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, Stop, differs, expect, failed, unknown},
};

const EARLY: &str = "a half-open circuit decides as soon as the probes that are left can't change \
                     the verdict, which is the same";
const KEPT: &str = "what was counted before the circuit opened can still be read while it is open";
const UNCOUNTED: &str = "neither a run of successes nor slow failures are counted apart";
const PROBE: &str = "the success that closes a circuit is a probe's here, and not one of the calls in \
                     the window that begins then";
const TRIPPED: &str = "what trips is the circuit itself here: it is open then, and only a probe \
                       closes it";
/// The name of a call that takes as long as the clock has just been moved.
const LATENCY: &str = "(latency)";

const RING: &str = "the ring of a window can't be seen from outside; its sums are the same";

/// Replays the steps, then checks the events.
pub(super) async fn replay(case: &Case, settings: Settings) -> Replay {
    let mut run = Run::new(&settings).await;
    run.is_bare = matches!(case.model.as_str(), "consecutive" | "count-rate");
    if case.layer == "window" {
        // A window is looked at for itself: nothing opens the circuit that it belongs to.
        run.subject.breaker.metrics_only();
    }
    for (i, step) in case.steps.iter().enumerate() {
        let next = case.steps.get(i + 1);
        let outcome = run.step(&Fields::of(step), next).await;
        if run.is_beyond && matches!(outcome, Err(Stop::Failed(_))) {
            return differs(TRIPPED);
        }
        outcome.map_err(|stop| stop.at(&format!("step {i}")))?;
        if i == 0 {
            run.after_first = run.subject.transitions().len();
        }
    }
    for event in &case.events {
        run.event(&Fields::of(event))?;
    }
    match run.difference {
        Some(why) => differs(why),
        None if run.is_beyond => differs(TRIPPED),
        None => Ok(()),
    }
}

struct Run<'a> {
    settings: &'a Settings,
    subject: Subject,
    /// A circuit that has decided before the case does: the state that it is in, to be compared
    /// with the one that the case comes to.
    early: Option<&'static str>,
    /// Why our rule is another one, where all that the rules share has held.
    difference: Option<&'static str>,
    /// How many transitions there had been after the first step.
    after_first: usize,
    /// The case is of a rule alone, which has no state: it goes on counting once it has tripped.
    is_bare: bool,
    /// It has gone on to where a circuit lets no call in.
    is_beyond: bool,
    /// The successes of probes that a case counts among the calls.
    probed: u64,
}

impl<'a> Run<'a> {
    async fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            subject: Subject::new(settings).await,
            early: None,
            difference: None,
            after_first: 0,
            is_bare: false,
            is_beyond: false,
            probed: 0,
        }
    }

    async fn step(&mut self, step: &Fields<'_>, next: Option<&Map<String, Value>>) -> Replay {
        let mut admitted = None;
        for _ in 0..step.u64("repeat")?.unwrap_or(1) {
            admitted = self.act(step, next).await?;
            if let Some(expected) = step.object("expect")? {
                self.check(&expected, admitted)?;
                expected.end()?;
            }
        }
        let _ = admitted;
        step.end()
    }

    /// Does what a step says. What it asks to be let in is told back.
    async fn act(
        &mut self,
        step: &Fields<'_>,
        next: Option<&Map<String, Value>>,
    ) -> Replay<Option<bool>> {
        let op = step.must("op", Fields::str)?;
        if self.early.is_some() && matches!(op, "admit" | "record") {
            step.skip(&["outcome", "cause", "latency_ms"]);
            return Ok(None);
        }
        let subject = &mut self.subject;
        match op {
            "check" | "wall_clock_step" => step.skip(&["ms"]),
            "advance" => {
                // A clock that moves by a call's latency moves while the call is under way.
                let by = step.must("ms", Fields::ms)?;
                let is_call = next.is_some_and(|next| {
                    next["op"] == "record" && next.get("latency_ms") == step.get("ms")
                });
                if is_call && subject.pending.is_empty() {
                    let begun = subject.admit();
                    advance(by).await;
                    subject
                        .calls
                        .extend(begun.map(|it| (LATENCY.to_owned(), it)));
                } else {
                    advance(by).await;
                }
            }
            "admit" => {
                let permit = subject.admit();
                let admitted = permit.is_some();
                subject.pending.extend(permit);
                return Ok(Some(admitted));
            }
            "record" => self.record(step).await?,
            "release" => drop(subject.pending.pop_front()),
            "call" => {
                let admitted = subject.call(Outcome::of(step)?);
                return Ok(Some(admitted));
            }
            "begin" => match subject.admit() {
                Some(permit) => {
                    let name = step.must("call", Fields::str)?.to_owned();
                    subject.calls.insert(name, permit);
                }
                None => return failed("a call was not let in"),
            },
            "begin_many" => {
                for _ in 0..step.must("n", Fields::u64)? {
                    subject.crowd.extend(subject.admit());
                }
            }
            "finish" | "drop" => {
                let name = step.must("call", Fields::str)?;
                let Some(permit) = subject.calls.remove(name) else {
                    return unknown(format!("call {name:?}"));
                };
                let outcome = match op {
                    "finish" => Outcome::of(step)?,
                    _ => Outcome::Left,
                };
                subject.report(permit, outcome);
            }
            "force" => {
                let state = step.must("state", Fields::str)?;
                expect("legal", subject.force(state)?, true)?;
                subject.pending.clear();
            }
            "open_for" => subject.breaker.open_for(step.must("ms", Fields::ms)?),
            "reset" => subject.breaker.reset(),
            "isolate" => {
                let isolation = subject.breaker.isolate();
                subject
                    .isolations
                    .insert(step.must("handle", Fields::u64)?, isolation);
            }
            "release_isolation" => {
                subject
                    .isolations
                    .remove(&step.must("handle", Fields::u64)?);
            }
            op => return unknown(format!("op {op:?}")),
        }
        Ok(None)
    }

    async fn record(&mut self, step: &Fields<'_>) -> Replay {
        let outcome = Outcome::of(step)?;
        if let Some(state) = step.str("in_state")? {
            expect("in_state", state, "HALF_OPEN")?;
            self.subject.force("OPEN")?;
            self.subject.force("HALF_OPEN")?;
            self.probed = u64::from(matches!(outcome, Outcome::Success));
        }
        let slow = match step.bool("slow")? {
            // A window that is told so: any latency that is slow will do.
            Some(true) => Duration::from_secs(1),
            _ => Duration::ZERO,
        };
        let latency = step.ms("latency_ms")?.unwrap_or(slow);
        if let Some(permit) = self.subject.calls.remove(LATENCY) {
            self.subject.report(permit, outcome);
            return Ok(());
        }
        let pending = self.subject.pending.pop_front();
        let Some(permit) = pending.or_else(|| self.subject.admit()) else {
            if self.is_bare && self.has_tripped() {
                self.is_beyond = true;
                return Ok(());
            }
            return failed("a call was to be recorded, and was not let in");
        };
        advance(latency).await;
        self.subject.report(permit, outcome);
        Ok(())
    }

    /// Whether the circuit has left the half-open state with some of its probes not yet made.
    fn has_decided_early(&self) -> bool {
        let cause = self.subject.last_cause();
        matches!(cause, Some(Cause::ProbeFailed | Cause::ProbesSucceeded))
    }

    fn check(&mut self, expected: &Fields<'_>, admitted: Option<bool>) -> Replay {
        let got = self.subject.state();
        let want = expected.str("state")?;
        if let Some(early) = self.early {
            expected.skip(&COUNTS);
            expected.skip(&["admitted"]);
            return match want {
                None | Some("HALF_OPEN") => Ok(()),
                Some(want) => {
                    self.early = None;
                    expect("the verdict", early, want)
                }
            };
        }
        // Ours waits for a call before it is half-open; others say so when the wait is over.
        let admits = || self.subject.breaker.admits(Instant::now()).is_ok();
        let ripe = got == "OPEN" && want == Some("HALF_OPEN") && admits();
        let turned_away = admitted == Some(false) && expected.bool("admitted")? == Some(true);
        let ahead = want == Some("HALF_OPEN") && got != "HALF_OPEN" && !ripe;
        if (turned_away || ahead) && self.has_decided_early() {
            expected.skip(&COUNTS);
            self.early = Some(got);
            self.difference = Some(EARLY);
            return Ok(());
        }
        if let Some(want) = want.filter(|_| !ripe) {
            expect("state", got, want)?;
        }
        if let Some(want) = expected.bool("admitted")? {
            expect("admitted", admitted, Some(want))?;
        }
        if let Some(want) = expected.bool("rejected")? {
            expect("rejected", admitted.map(|admitted| !admitted), Some(want))?;
        }
        if let Some(want) = expected.bool("trip")? {
            expect("trip", self.has_tripped(), want)?;
        }
        self.check_counts(expected)
    }

    /// Whether the circuit is open, or would be if it did not only count.
    fn has_tripped(&self) -> bool {
        let breaker = &self.subject.breaker;
        match breaker.state() {
            State::MetricsOnly => {
                let rate = breaker.failure_rate();
                rate.is_some_and(|rate| rate >= self.settings.threshold)
            }
            state => state == State::Open,
        }
    }

    fn check_counts(&mut self, expected: &Fields<'_>) -> Replay {
        let breaker = &self.subject.breaker;
        let counts = breaker.counts();
        let excluded = self.subject.excluded;
        let in_flight = (self.subject.calls.len() + self.subject.pending.len()) as u64;
        let calls = [
            ("total", counts.calls),
            ("buffered", counts.calls),
            ("requests", counts.calls + excluded + in_flight),
            ("successes", counts.calls - counts.failures),
            ("failures", counts.failures),
            ("slow", counts.slow),
        ];
        for (name, got) in calls {
            if let Some(want) = expected.u64(name)? {
                if got != want && breaker.state() == State::Open && want == 0 {
                    self.difference = Some(KEPT);
                } else if got != want && name != "failures" && got + self.probed == want {
                    self.difference = Some(PROBE);
                } else {
                    expect(name, got, want)?;
                }
            }
        }
        let others = [
            ("slow_in_flight", counts.slow_in_flight),
            (
                "not_permitted",
                self.subject.log.refused.load(Ordering::Relaxed),
            ),
        ];
        for (name, got) in others {
            if let Some(want) = expected.u64(name)? {
                expect(name, got, want)?;
            }
        }
        for (name, why) in [
            ("excluded", UNCOUNTED),
            ("consec_successes", UNCOUNTED),
            ("consec_failures", UNCOUNTED),
            ("slow_failures", UNCOUNTED),
            ("ring_by_slot", RING),
            ("next_slot", RING),
        ] {
            if expected.get(name).is_some() {
                self.difference = Some(why);
            }
        }
        let rates = [
            ("failure_rate", breaker.failure_rate()),
            ("rate", breaker.failure_rate()),
            ("slow_rate", breaker.slow_rate()),
        ];
        for (name, got) in rates {
            let Some(want) = expected.f64(name)? else {
                continue;
            };
            let unit = if self.settings.shares { 1.0 } else { 100.0 };
            // Of no calls there is no rate; some say that it is zero.
            let got = match got {
                None if counts.calls == 0 => want.min(0.0),
                None => -1.0,
                Some(rate) => rate * unit,
            };
            expect(name, (got - want).abs() < 1e-4, true)
                .map_err(|stop| stop.at(&format!("{got}, expected {want}")))?;
        }
        Ok(())
    }

    fn event(&self, event: &Fields<'_>) -> Replay {
        let transitions = self.subject.transitions();
        let skipped = match event.u64("after_step")? {
            None => 0,
            Some(0) => self.after_first,
            Some(step) => return unknown(format!("after_step {step}")),
        };
        let count = |is: &dyn Fn(&backstop_circuit_breaker::Transition) -> bool| {
            transitions.iter().skip(skipped).filter(|it| is(it)).count() as u64
        };
        let kind = event.must("type", Fields::str)?;
        let got = match kind {
            "failureRateExceeded" => {
                let told = self.subject.log.exceeded.load(Ordering::Relaxed);
                told + count(&|it| it.cause == Cause::FailureRate)
            }
            "stateTransition" => count(&|_| true),
            "break" => count(&|it| matches!(it.to, State::Open | State::ForcedOpen)),
            "reset" => count(&|it| it.to == State::Closed),
            kind => return unknown(format!("event {kind:?}")),
        };
        expect(kind, got, event.must("times", Fields::u64)?)?;
        event.end()
    }
}

/// What is counted, as far as it can be said of a circuit that has decided already.
const COUNTS: [&str; 9] = [
    "total",
    "buffered",
    "requests",
    "successes",
    "failures",
    "slow",
    "not_permitted",
    "failure_rate",
    "slow_rate",
];
