//! The circuit against a naive oracle, which keeps a list of all that ever happened and looks
//! through it at every step.

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{
    CircuitBreaker, FaultKind, Jitter, OpenWait, Permit, Policy, Rate, State, Window,
};
use backstop_core::Fault;
use proptest::prelude::*;
use tokio::time::Instant;

/// The rules, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Rules {
    consecutive: u32,
    min_calls: u32,
    tenths: u32,
    bucket: u64,
    wait: u64,
    probes: u32,
    probe_failures: u32,
    lease: u64,
}

impl Rules {
    fn policy(self) -> Policy {
        let n = |n| NonZeroU32::new(n).expect("a number above zero");
        let rate = Rate::new(f64::from(self.tenths) / 10.0).expect("between one and ten tenths");
        Policy::new()
            .consecutive(n(self.consecutive))
            .min_calls(n(self.min_calls))
            .failure_rate(rate)
            .window(Window::time(Duration::from_millis(self.bucket * 10)))
            .open_for(OpenWait::fixed(Duration::from_millis(self.wait)).jitter(Jitter::None))
            .probes(n(self.probes))
            .probe_failures(self.probe_failures)
            .probe_lease(Duration::from_millis(self.lease))
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Advance(u64),
    Begin,
    /// The so-manieth call under way ends.
    End(usize, Result),
    /// The same, but only its response is there.
    Commit(usize),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Result {
    Denied,
    Failure,
    Neutral,
    /// For so many milliseconds.
    RateLimited(u64),
    Success,
}

/// What is known of a call under way.
#[derive(Clone, Copy, Debug)]
struct Call {
    generation: u32,
    probe: Option<usize>,
    tail: bool,
    /// It was a probe, and came too late.
    spent: bool,
}

/// A result that was counted.
#[derive(Clone, Copy, Debug)]
struct Counted {
    generation: u32,
    at: u64,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    until: u64,
    result: Option<bool>,
    gone: bool,
}

struct Oracle {
    rules: Rules,
    state: State,
    generation: u32,
    since: u64,
    /// Until when it is open or held off.
    until: u64,
    counted: Vec<Counted>,
    probes: Vec<Probe>,
    openings: u32,
    late: u64,
}

impl Oracle {
    fn change(&mut self, state: State, now: u64) {
        self.state = state;
        self.generation += 1;
        self.since = now;
        self.until = 0;
        self.probes.clear();
    }

    fn open(&mut self, now: u64, floor: u64) {
        self.change(State::Open, now);
        self.openings += 1;
        self.until = now + self.rules.wait.max(floor);
    }

    fn tick(&mut self, now: u64) {
        if self.state == State::HalfOpen && now >= self.since + 3 * self.rules.lease {
            self.open(self.since + 3 * self.rules.lease, 0);
        }
        for probe in &mut self.probes {
            probe.gone |= probe.result.is_none() && probe.until <= now;
        }
    }

    fn begin(&mut self, now: u64) -> Option<Call> {
        self.tick(now);
        if self.state == State::Open && now >= self.until {
            self.change(State::HalfOpen, now);
        }
        let mut call = Call {
            generation: self.generation,
            probe: None,
            tail: false,
            spent: false,
        };
        match self.state {
            State::Closed => (now >= self.until).then_some(call),
            State::HalfOpen => {
                let taken = self.probes.iter().filter(|probe| !probe.gone).count();
                call.probe = Some(self.probes.len());
                (taken < self.rules.probes as usize).then(|| {
                    self.probes.push(Probe {
                        until: now + self.rules.lease,
                        result: None,
                        gone: false,
                    });
                    call
                })
            }
            _ => None,
        }
    }

    fn commit(&mut self, call: &mut Call, now: u64) {
        if call.probe.is_some() && !call.tail && !call.spent {
            let late = self.late;
            self.end(*call, Result::Success, now);
            call.spent = self.late > late;
            call.tail = true;
            if self.state == State::Closed && call.generation + 1 == self.generation {
                call.generation = self.generation;
            }
        }
    }

    fn end(&mut self, mut call: Call, result: Result, now: u64) {
        self.tick(now);
        if call.spent || call.tail && matches!(result, Result::Success | Result::Neutral) {
            return;
        }
        let following = call.generation + 1 == self.generation && self.state == State::Closed;
        if call.tail && following {
            call.generation = self.generation;
        }
        if call.generation != self.generation {
            // A late rate limit only asks to be left alone, which moves nothing either.
            let counts = match result {
                Result::Neutral => false,
                Result::RateLimited(_) => call.probe.is_some() && !call.tail,
                _ => true,
            };
            self.late += u64::from(counts);
            return;
        }
        if self.state == State::HalfOpen {
            self.end_probe(call, result, now);
        } else {
            self.end_plain(result, now);
        }
    }

    fn end_plain(&mut self, result: Result, now: u64) {
        let failed = match result {
            Result::Neutral => return,
            Result::RateLimited(wait) => {
                self.until = self.until.max(now + wait);
                return;
            }
            Result::Success => false,
            Result::Denied | Result::Failure => true,
        };
        self.counted.push(Counted {
            generation: self.generation,
            at: now,
            failed,
        });
        let [calls, failures] = self.window(now);
        let in_a_row = failed && self.consecutive() >= self.rules.consecutive;
        let rate = calls >= u64::from(self.rules.min_calls)
            && failures * 10 >= calls * u64::from(self.rules.tenths);
        if in_a_row || rate || result == Result::Denied {
            self.open(now, 0);
        }
    }

    fn end_probe(&mut self, call: Call, result: Result, now: u64) {
        let probe = &mut self.probes[call.probe.expect("a probe")];
        if probe.gone {
            self.late += u64::from(result != Result::Neutral);
            return;
        }
        match result {
            Result::Neutral => probe.gone = true,
            result => probe.result = Some(result == Result::Success),
        }
        let count = |wanted| {
            let results = self.probes.iter().filter_map(|probe| probe.result);
            results.filter(|success| *success == wanted).count() as u32
        };
        let allowed = self.rules.probe_failures.min(self.rules.probes - 1);
        let floor = match result {
            Result::RateLimited(wait) => wait,
            _ => 0,
        };
        if count(false) > allowed || result == Result::Denied {
            self.open(now, floor);
        } else if count(true) >= self.rules.probes - allowed {
            self.change(State::Closed, now);
            self.openings = 0;
        }
    }

    /// Calls and failures of this generation in the buckets that are not over.
    fn window(&self, now: u64) -> [u64; 2] {
        let bucket = |at: u64| at / self.rules.bucket;
        let inside = |counted: &&Counted| {
            counted.generation == self.generation && bucket(counted.at) + 10 > bucket(now)
        };
        let inside = self.counted.iter().filter(inside);
        [
            inside.clone().count() as u64,
            inside.filter(|counted| counted.failed).count() as u64,
        ]
    }

    fn consecutive(&self) -> u32 {
        let latest = self.counted.iter().rev();
        latest
            .take_while(|counted| counted.failed && counted.generation == self.generation)
            .count() as u32
    }
}

/// The circuit and the oracle, side by side.
struct Pair {
    breaker: CircuitBreaker,
    start: Instant,
    now: u64,
    oracle: Oracle,
    calls: Vec<(Permit, Call)>,
}

impl Pair {
    fn new(rules: Rules) -> Self {
        Self {
            breaker: rules.policy().breaker("real"),
            start: Instant::now(),
            now: 0,
            oracle: Oracle {
                rules,
                state: State::Closed,
                generation: 0,
                since: 0,
                until: 0,
                counted: Vec::new(),
                probes: Vec::new(),
                openings: 0,
                late: 0,
            },
            calls: Vec::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn step(&mut self, step: Step) {
        let now = self.instant();
        match step {
            Step::Advance(by) => self.now += by,
            Step::Begin => {
                let real = self.breaker.try_acquire_at(now).ok();
                let expected = self.oracle.begin(self.now);
                assert_eq!(real.is_some(), expected.is_some(), "admitted");
                self.calls.extend(real.zip(expected));
            }
            Step::End(..) | Step::Commit(_) if self.calls.is_empty() => {}
            Step::End(which, result) => {
                let (permit, call) = self.calls.swap_remove(which % self.calls.len());
                self.oracle.end(call, result, self.now);
                match result {
                    Result::Denied => permit.failure_at(FaultKind::Denied, now),
                    Result::Failure => permit.failure_at(FaultKind::Unavailable, now),
                    Result::Neutral => permit.ignore_at(now),
                    Result::RateLimited(wait) => {
                        let fault = Fault::new(FaultKind::RateLimited);
                        let wait = Duration::from_millis(wait);
                        permit.failure_at(fault.with_retry_after(wait), now);
                    }
                    Result::Success => permit.success_at(now),
                }
            }
            Step::Commit(which) => {
                let which = which % self.calls.len();
                let (permit, call) = &mut self.calls[which];
                self.oracle.commit(call, self.now);
                permit.commit_at(now);
            }
        }
        self.compare();
    }

    fn compare(&mut self) {
        let now = self.instant();
        self.oracle.tick(self.now);
        assert_eq!(self.breaker.state_at(now), self.oracle.state);
        let counts = self.breaker.counts_at(now);
        assert_eq!(counts.openings, self.oracle.openings, "openings");
        assert_eq!(counts.late, self.oracle.late, "late");
        match self.oracle.state {
            State::Closed => {
                let window = [counts.calls, counts.failures];
                assert_eq!(window, self.oracle.window(self.now), "window");
                let run = counts.consecutive_failures;
                assert_eq!(run, self.oracle.consecutive(), "in a row");
            }
            State::HalfOpen => {
                let out = |probe: &&Probe| !probe.gone && probe.result.is_none();
                let out = self.oracle.probes.iter().filter(out).count();
                assert_eq!(counts.probes as usize, out, "probes out");
            }
            _ => {}
        }
    }
}

fn results() -> impl Strategy<Value = Result> {
    prop_oneof![
        6 => Just(Result::Failure),
        6 => Just(Result::Success),
        2 => Just(Result::Neutral),
        1 => Just(Result::Denied),
        1 => (1..500_u64).prop_map(Result::RateLimited),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Begin),
        4 => (any::<usize>(), results()).prop_map(|(which, result)| Step::End(which, result)),
        1 => any::<usize>().prop_map(Step::Commit),
        2 => (0..50_u64).prop_map(Step::Advance),
        1 => (0..2_000_u64).prop_map(Step::Advance),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let trip = (1..8_u32, 1..12_u32, 1..=10_u32, 1..40_u64);
    let half_open = (1..300_u64, 1..5_u32, 0..5_u32, 1..300_u64);
    (trip, half_open).prop_map(|(trip, half_open)| Rules {
        consecutive: trip.0,
        min_calls: trip.1,
        tenths: trip.2,
        bucket: trip.3,
        wait: half_open.0,
        probes: half_open.1,
        probe_failures: half_open.2,
        lease: half_open.3,
    })
}

/// Runs under a paused clock, so that the circuit and the oracle begin at the same instant.
fn paused<T>(run: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async { run() })
}

const CONFIG: fn() -> ProptestConfig = || ProptestConfig {
    cases: 1_000,
    failure_persistence: None,
    ..ProptestConfig::default()
};

proptest! {
    #![proptest_config(CONFIG())]

    #[test]
    fn the_circuit_does_what_a_list_of_events_says(
        rules in rules(),
        steps in prop::collection::vec(steps(), 1..200),
    ) {
        paused(|| {
            let mut pair = Pair::new(rules);
            for step in steps {
                pair.step(step);
            }
        });
    }

    #[test]
    fn from_any_state_a_healthy_service_is_served_again(
        rules in rules(),
        steps in prop::collection::vec(steps(), 1..200),
    ) {
        // The permits that are out are never given back: a lease, a wait and a hold-off end all
        // the same.
        let closed = paused(|| {
            let mut pair = Pair::new(rules);
            for step in steps {
                pair.step(step);
            }
            let mut now = pair.instant();
            for _ in 0..4 {
                now += Duration::from_millis(rules.wait.max(rules.lease).max(500));
                for _ in 0..=rules.probes {
                    if let Ok(permit) = pair.breaker.try_acquire_at(now) {
                        permit.success_at(now);
                    }
                }
            }
            pair.breaker.state_at(now) == State::Closed && pair.breaker.try_acquire_at(now).is_ok()
        });
        prop_assert!(closed);
    }
}
