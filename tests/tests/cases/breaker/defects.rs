//! Defects that other libraries have had: what must hold is said in words, and each is known by a
//! field that no other has.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use backstop_circuit_breaker::{
    CircuitBreaker, Jitter, Listener, OpenWait, Policy, State, Transition, Window,
};
use backstop_core::{Fault, FaultKind, Name};
use tokio::time::Instant;

use super::{
    settings::{Settings, count},
    subject::advance,
};
use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, expect, failed, unknown},
    words::numbers,
};

pub(super) fn replay(case: &Case) -> Replay {
    for fields in &case.rows {
        let (config, row) = (Fields::of(&case.config), Fields::of(fields));
        let says = |field| fields.contains_key(field);
        if says("queued") {
            stampede(case, &config, &row)
        } else if says("must_open_by_call") {
            longer_than_the_window(&config, &row)
        } else if says("property") {
            events(&config, &row)
        } else if says("key") {
            config.skip(&["trip"]);
            held_off(&row)
        } else if says("idle_days") {
            long_idle(&config, &row)
        } else {
            unknown("a defect that is not known")
        }?;
        row.end()?;
        config.end()?;
    }
    Ok(())
}

/// Many threads at the instant at which the open wait is over.
fn stampede(case: &Case, config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let threads = config.must("concurrency", Fields::u64)? as usize;
    let policy = Settings::read(config, case)?.policy;
    let (admitted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let breaker = policy.breaker("stampede");
    let start = Instant::now();
    breaker.open_at(start);
    let wait = breaker.remaining_at(start).unwrap_or_default();
    let together = Barrier::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                together.wait();
                let permit = breaker.try_acquire_at(start + wait);
                // Nobody gives a place back before everybody has asked.
                together.wait();
                let counter = if permit.is_ok() { &admitted } else { &refused };
                counter.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    let number = |name| row.must(name, Fields::u64).map(|number| number as usize);
    expect("admitted", admitted.into_inner(), number("admitted")?)?;
    expect("rejected", refused.into_inner(), number("rejected")?)?;
    // Whoever was not let in was told so at once: there is nothing to wait in.
    expect("queued", 0, number("queued")?)
}

/// Calls that take longer than the window is long.
fn longer_than_the_window(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let window = config.must("window_ms", Fields::ms)?;
    let lasts = config.must("call_ms", Fields::ms)?;
    let (words, numbers) = numbers(config.must("trip", Fields::str)?);
    expect("trip", words.as_str(), "consecutive # or rate")?;
    let run = count(numbers[0])?;
    let most = row.must("must_open_by_call", Fields::u64)?;
    let calls = row.must("failing_calls", Fields::u64)?;
    crate::paused(async {
        let breaker = Policy::new()
            .consecutive(run)
            .window(Window::time(window))
            .breaker("window");
        for i in 1..=calls {
            let Ok(permit) = breaker.try_acquire() else {
                return expect("opened by", i <= most + 1, true);
            };
            advance(lasts).await;
            permit.failure(FaultKind::Unavailable);
        }
        failed("it never opened")
    })
}

/// A rate limit holds off the one key that it is of.
fn held_off(row: &Fields<'_>) -> Replay {
    let policy = Policy::new();
    crate::paused(async {
        let breaker = policy.breaker(row.must("key", Fields::str)?);
        let Some(responses) = row.str("responses")? else {
            let admitted = breaker.try_acquire().is_ok();
            return expect("admitted", Some(admitted), row.bool("admitted")?);
        };
        let (words, numbers) = numbers(responses);
        let ("# (Retry-After #) x#", &[429, after, times]) = (words.as_str(), numbers.as_slice())
        else {
            return unknown(format!("responses {responses:?}"));
        };
        let fault = Fault::new(FaultKind::RateLimited).with_retry_after(Duration::from_secs(after));
        let permits: Vec<_> = (0..times).flat_map(|_| breaker.try_acquire()).collect();
        expect("in flight", permits.len() as u64, times)?;
        for permit in permits {
            permit.failure(fault);
        }
        let run = u64::from(breaker.counts().consecutive_failures);
        let want = row.must("consecutive_failures", Fields::u64)?;
        expect("consecutive_failures", run, want)?;
        let wait = row.must("cooldown_ms", Fields::ms)?;
        expect("cooldown_ms", breaker.remaining(), Some(wait))?;
        expect("let in", breaker.try_acquire().is_err(), true)?;
        advance(wait).await;
        expect("let in", breaker.try_acquire().is_ok(), true)
    })
}

/// The first call after a year costs no more than any other.
fn long_idle(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let buckets = config.must("buckets", Fields::u64)? as u32;
    let idle = Duration::from_secs(86_400 * row.must("idle_days", Fields::u64)?);
    let window = row.must("bucket_ms", Fields::ms)? * buckets;
    let most = Duration::from_micros(row.must("max_us", Fields::u64)?);
    let took = || {
        let breaker = Policy::new().window(Window::time(window)).breaker("idle");
        let start = Instant::now();
        let permit = breaker.try_acquire_at(start + idle);
        permit
            .map(|permit| permit.success_at(start + idle))
            .is_ok()
            .then(|| start.elapsed())
    };
    // The best of a few: this thread may be put aside in the middle of one.
    let best = (0..20).flat_map(|_| took()).min();
    expect("max_us", best.is_some_and(|best| best <= most), true)
}

/// Hears every change, is slow, asks the circuit back, and panics once.
#[derive(Default)]
struct Hard {
    breaker: OnceLock<CircuitBreaker<Arc<Self>>>,
    heard: Mutex<Vec<Transition>>,
}

impl Listener for Hard {
    fn on_transition(&self, _: &Name, transition: &Transition) {
        let first = {
            let mut heard = self.heard.lock().unwrap_or_else(|it| it.into_inner());
            heard.push(*transition);
            heard.len() == 1
        };
        // A lock held by whoever tells would be in the way of this.
        let _ = self.breaker.get().map(CircuitBreaker::counts);
        thread::yield_now();
        if first {
            std::panic::resume_unwind(Box::new("a listener that panics"));
        }
    }
}

fn events(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    match row.must("property", Fields::str)? {
        "events == transitions; sequence numbers strictly increase" => {}
        property => return unknown(format!("property {property:?}")),
    }
    let threads = config.must("threads", Fields::u64)?;
    let listener = Arc::new(Hard::default());
    let breaker = Policy::new()
        .consecutive(count(2)?)
        .open_for(OpenWait::fixed(Duration::from_micros(1)).jitter(Jitter::None))
        .listener(listener.clone())
        .breaker("events");
    let _ = listener.breaker.set(breaker.clone());
    thread::scope(|scope| {
        for i in 0..threads {
            let breaker = &breaker;
            scope.spawn(move || {
                for call in 0..200 {
                    let _ = catch_unwind(AssertUnwindSafe(|| {
                        let Ok(permit) = breaker.try_acquire() else {
                            return;
                        };
                        match (i + call) % 3 {
                            0 => permit.success(),
                            _ => permit.failure(FaultKind::Connect),
                        }
                    }));
                }
            });
        }
    });
    let heard = listener.heard.lock().unwrap_or_else(|it| it.into_inner());
    expect("heard of some", heard.len() > 2, true)?;
    expect("from the first state", heard[0].from, State::Closed)?;
    for pair in heard.windows(2) {
        expect("in order", pair[1].from, pair[0].to)?;
        expect("strictly", pair[1].generation > pair[0].generation, true)?;
    }
    let last = heard.last().map(|it| it.to);
    expect("to the last state", last, Some(breaker.state()))
}
