//! Defects that other libraries have had: what must hold is said in words, and each is known by a
//! field that no other has.

use std::{
    num::NonZeroU32,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use backstop_circuit_breaker::CircuitBreakerLayer;
use backstop_core::{Budget, FaultKind, HttpStatus, Open, RetryHint};
use backstop_retry::{Jitter, RETRY, RetryLayer};
use backstop_timeout::TimeoutLayer;
use tokio::time::Instant;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

use super::{backoff::exponential, budget, chance};
use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, expect, failed, unknown},
    upstream::Upstream,
    words::numbers,
};

/// Looks whether what a row says holds, under a configuration.
type Check = fn(&Fields<'_>, &Fields<'_>) -> Replay;

/// What is checked where the row, or the configuration, has the field. The first one counts.
const CHECKS: [(&str, Check); 15] = [
    ("header", header),
    ("action", gives_up),
    ("clients", no_herd),
    ("outer_attempts", nested),
    ("breaker", open_circuit),
    ("event", committed),
    ("threads", threads),
    ("attempts_started", deadline),
    ("percent", share),
    ("requests", chance::own_chance),
    ("lo_ms", chance::within_bounds),
    ("jitter", chance::resolution),
    ("draws", chance::chance_at_the_cap),
    ("r_min", chance::never_zero),
    ("expr", chance::extremes),
];

pub(super) fn replay(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    for fields in &case.rows {
        let says = |field: &str| fields.contains_key(field) || case.config.contains_key(field);
        let Some((_, check)) = CHECKS.iter().find(|(field, _)| says(field)) else {
            return unknown("a defect that is not known");
        };
        let row = Fields::of(fields);
        check(&config, &row)?;
        row.end()?;
    }
    config.end()
}

pub(super) fn of(attempts: u64) -> NonZeroU32 {
    NonZeroU32::new(attempts as u32).expect("not zero")
}

/// The property that a row must state for the code that checks it to be right.
pub(super) fn property(row: &Fields<'_>, known: &str) -> Replay {
    match row.must("property", Fields::str)? {
        property if property == known => Ok(()),
        property => unknown(format!("property {property:?}")),
    }
}

fn header(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    expect("now", config.must("now", Fields::str)?, "any")?;
    let cap = Duration::from_secs(config.must("cap_s", Fields::u64)?);
    let value = row.must("header", Fields::str)?;
    // A minute before the date that the old forms of an HTTP date are shown with.
    let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
    let read = |value: &str, now: SystemTime| RetryHint::from_retry_after(value, Some(now));
    let hint = match value {
        "<past date>" => read("Sun, 06 Nov 1994 08:00:00 GMT", now),
        value => read(value, now),
    };
    let wait = hint.after();
    let result = row.must("result", Fields::str)?;
    let (word, _) = result.split_once([' ', '(']).unwrap_or((result, ""));
    let (_, numbers) = numbers(result);
    let seconds = numbers.first().copied().map(Duration::from_secs);
    match word {
        // It leaves the wait to the retry's own backoff.
        "0" => expect(value, hint, RetryHint::default()),
        "none" => expect(value, wait, None),
        "date" => expect(value, wait, Some(Duration::from_secs(60))),
        "give_up" => {
            expect(value, wait.is_some_and(|wait| wait > cap), true)?;
            // However far off, the clock can be moved by it.
            let _ = Instant::now() + wait.unwrap_or_default();
            match result.starts_with("give_up(retry_after=") {
                true => expect(value, wait, seconds),
                false => Ok(()),
            }
        }
        word if word.parse::<u64>().is_ok() => expect(value, wait, seconds),
        _ => unknown(format!("result {result:?}")),
    }
}

fn gives_up(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let cap = Duration::from_secs(config.must("cap_s", Fields::u64)?);
    let total = config.must("deadline_ms", Fields::ms)?;
    let asked = row.must("retry_after_s", Fields::u64)?;
    let upstream = Upstream::new([
        (503, vec![("retry-after", asked.to_string())]),
        (200, vec![]),
    ]);
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(total))
        .layer(
            RetryLayer::new()
                .classify(HttpStatus::new())
                .retry_after_cap(cap),
        )
        .service(upstream.clone());
    crate::paused(async {
        let start = Instant::now();
        let response = service.oneshot(()).await;
        let slept = start.elapsed();
        let status = response.map(|response| response.status().as_u16()).ok();
        match row.must("action", Fields::str)? {
            "give_up" => {
                expect("slept_ms", slept, row.must("slept_ms", Fields::ms)?)?;
                expect("calls", upstream.calls(), 1)?;
                // The response is handed on, and the hint on it.
                expect("status", status, Some(503))
            }
            "retry" => {
                let (words, numbers) = numbers(row.must("slept_ms", Fields::str)?);
                expect("slept_ms", words.as_str(), ">=#")?;
                let least = Duration::from_millis(numbers[0]);
                expect("slept_ms", slept >= least, true)?;
                expect("status", status, Some(200))
            }
            action => unknown(format!("action {action:?}")),
        }
    })
}

fn no_herd(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    property(row, "delay >= own jittered backoff")?;
    let base = config.must("base_ms", Fields::ms)?;
    let backoff = exponential(base, Duration::from_secs(20))?;
    let asked = row.must("retry_after_s", Fields::u64)?;
    let clients = row.must("clients", Fields::u64)?;
    let with = |seed| {
        let layer = RetryLayer::new().backoff(backoff.clone()).seed(seed);
        layer.classify(HttpStatus::new())
    };
    let headers = [vec![("retry-after", asked.to_string())], vec![]];
    crate::paused(async {
        for seed in 0..clients {
            // The same chance with the header and without.
            let mut waits = Vec::new();
            for headers in headers.clone() {
                let upstream = Upstream::new([(503, headers), (200, vec![])]);
                let layer = with(seed);
                let service = ServiceBuilder::new().layer(layer).service(upstream.clone());
                let _ = service.oneshot(()).await;
                waits.push(upstream.waits()[0]);
            }
            expect("delay", waits[0] >= waits[1] && !waits[0].is_zero(), true)?;
        }
        Ok(())
    })
}

fn nested(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    row.skip(&["rule"]);
    let layer = |name| -> Replay<_> {
        let attempts = of(config.must(name, Fields::u64)?);
        Ok(RetryLayer::new()
            .attempts(attempts)
            .classify(HttpStatus::new()))
    };
    let upstream = Upstream::always(503);
    let service = ServiceBuilder::new()
        .layer(layer("outer_attempts")?)
        .layer(layer("inner_attempts")?)
        .service(upstream.clone());
    crate::paused(async {
        let _ = service.oneshot(()).await;
        let calls = row.must("upstream_calls", Fields::u64)?;
        expect("upstream_calls", upstream.calls() as u64, calls)
    })
}

fn open_circuit(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    expect("breaker", row.must("breaker", Fields::str)?, "OPEN")?;
    expect(
        "error",
        row.must("error", Fields::str)?,
        "circuit_open(retry_after)",
    )?;
    expect("attempts", row.must("attempts", Fields::u64)?, 1)?;
    expect("sleeps", row.must("sleeps", Fields::u64)?, 0)?;
    let attempts = of(config.must("attempts", Fields::u64)?);
    let upstream = Upstream::always(503);
    let breaker = CircuitBreakerLayer::new("upstream");
    breaker.handle().open_for(Duration::from_secs(60));
    crate::paused(async {
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new().attempts(attempts))
            .layer(breaker)
            .service(upstream.clone());
        let start = Instant::now();
        let (result, trail) = backstop_core::context::traced(service.oneshot(())).await;
        expect("slept", start.elapsed(), Duration::ZERO)?;
        expect("attempts", trail.attempts().len(), 1)?;
        expect("upstream", upstream.calls(), 0)?;
        let open = result.err().and_then(|error| error.downcast::<Open>().ok());
        let wait = open.and_then(|open| open.retry_after());
        expect("retry_after", wait.is_some(), true)
    })
}

/// The call resolves with the first content: what breaks earlier fails the call.
fn committed(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let attempts = of(config.must("attempts", Fields::u64)?);
    let before = match row.must("event", Fields::str)? {
        "stream breaks before first byte" => true,
        "stream breaks after first byte" => false,
        event => return unknown(format!("event {event:?}")),
    };
    let calls = std::cell::Cell::new(0);
    crate::paused(async {
        let upstream = service_fn(|(): ()| {
            calls.set(calls.get() + 1);
            let first = calls.get() == 1;
            async move {
                let broken = || BoxError::from("broken");
                match (first, before) {
                    (true, true) => Err(broken()),
                    (true, false) => Ok(vec![Ok("first"), Err(broken())]),
                    (false, _) => Ok(vec![Ok("first"), Ok("second")]),
                }
            }
        });
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new().attempts(attempts))
            .service(upstream);
        let Ok(stream) = service.oneshot(()).await else {
            return failed("the call failed");
        };
        let interrupted = stream.iter().any(Result::is_err);
        let want = row.str("error")?;
        expect("error", interrupted, want == Some("interrupted(partial)"))?;
        let want = row.must("upstream_calls", Fields::u64)?;
        expect("upstream_calls", calls.get(), want)
    })
}

fn threads(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    property(
        row,
        "sum(withdrawn) <= initial + deposits for all interleavings",
    )?;
    let number = |name| config.must(name, Fields::u64);
    let (tokens, cost) = (number("tokens")?, number("cost")?);
    let budget = Budget::tokens(of(tokens));
    let mut workers = Vec::new();
    for _ in 0..number("threads")? {
        let budget = budget.clone();
        workers.push(thread::spawn(move || {
            let (mut spent, mut deposits) = (0, 0);
            for i in 0..2_000 {
                if i % 3 == 0 {
                    budget.success(None);
                    deposits += 1;
                }
                let withdrawal = budget.try_withdraw(FaultKind::Connect);
                spent += u64::from(withdrawal.map(|it| it.spend()).is_some());
            }
            (spent, deposits)
        }));
    }
    let done = workers
        .into_iter()
        .map(|worker| worker.join().expect("no panic"));
    let (spent, deposits) = done.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    expect("withdrawn", spent * cost <= tokens + deposits, true)?;
    expect("something was", spent >= tokens / cost, true)
}

fn share(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    config.skip(&["ttl_ms", "min_per_s"]);
    budget::share(row)
}

fn deadline(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let ms = |name| config.must(name, Fields::ms);
    let (total, attempt, backoff) = (ms("total_ms")?, ms("attempt_ms")?, ms("backoff_ms")?);
    let started = std::cell::Cell::new(0);
    crate::paused(async {
        let service = ServiceBuilder::new()
            .layer(TimeoutLayer::new().total(total))
            .layer(
                RetryLayer::new()
                    .attempts(of(10))
                    .on(RETRY.with(FaultKind::TimedOut))
                    .jitter(Jitter::None)
                    .backoff(std::iter::repeat(backoff)),
            )
            .layer(TimeoutLayer::new().response(attempt))
            .service(service_fn(|(): ()| {
                started.set(started.get() + 1);
                std::future::pending::<Result<(), BoxError>>()
            }));
        let start = Instant::now();
        let result = service.oneshot(()).await;
        expect("failed", result.is_err(), true)?;
        let want = row.must("attempts_started", Fields::u64)?;
        expect("attempts_started", started.get(), want)?;
        let ends = row.must("ends_by_ms", Fields::ms)?;
        expect("ends_by_ms", start.elapsed() <= ends, true)
    })
}
