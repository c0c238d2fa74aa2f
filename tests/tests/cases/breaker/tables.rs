//! What is said by the rows of a table.

use std::{
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

use backstop_circuit_breaker::{Jitter, OpenWait, Policy, Rate, State, Window};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    settings::{Settings, count},
    subject::{Outcome, Subject, advance, portion},
};
use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, differing, differs, expect, failed, unknown},
    words::numbers,
};

/// Which configurations are refused.
pub(super) fn config(case: &Case) -> Replay {
    if case.layer == "window" {
        return widths(case);
    }
    let mut outcome = Ok(());
    for row in &case.rows {
        if row.contains_key("calls") {
            return differs("how many probes may fail is a number of them here, not a share");
        }
        if row.contains_key("interval_ms") {
            return differs(
                "a duration can't be negative here, and nothing is a default by being \
                            zero",
            );
        }
        let row = Fields::of(row);
        let share = row.must("threshold", Fields::f64)?;
        let whole = |name| match row.get(name) {
            None => Some(1),
            Some(value) => value
                .as_u64()
                .filter(|n| *n > 0 && *n <= u64::from(u16::MAX)),
        };
        let (size, min_calls) = (whole("size"), whole("min_calls"));
        let valid = Rate::new(share).is_ok() && size.is_some() && min_calls.is_some();
        let want = row.must("valid", Fields::bool)?;
        row.end()?;
        outcome = outcome.and(expect("valid", valid, want));
    }
    differing(
        "a rate of 1 can be reached here, by `>=`; more calls than a window holds are asked \
               for as many as it does",
        outcome,
    )
}

/// How wide the buckets of a window are: seen by how long a call is remembered.
fn widths(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    let buckets = config.must("buckets", Fields::u64)? as u32;
    for row in &case.rows {
        let row = Fields::of(row);
        let window = Duration::from_micros(row.must("window_us", Fields::u64)?);
        let bucket = Duration::from_micros(row.must("bucket_us", Fields::u64)?);
        crate::paused(async {
            let breaker = Policy::new()
                .window(Window::time(window).buckets(buckets as u8))
                .breaker("window");
            let start = Instant::now();
            let Ok(permit) = breaker.try_acquire_at(start) else {
                return failed("not let in");
            };
            permit.success_at(start);
            let calls = |after| breaker.counts_at(start + after).calls;
            expect(
                "kept",
                calls(bucket * buckets - Duration::from_micros(1)),
                1,
            )?;
            expect("forgotten", calls(bucket * buckets), 0)
        })?;
        row.end()?;
    }
    config.end()
}

fn letter(row: &Fields<'_>, name: &str) -> Replay<Outcome> {
    match row.must(name, Fields::str)? {
        "success" => Ok(Outcome::Success),
        "failure" => Ok(Outcome::FAILURE),
        outcome => unknown(format!("outcome {outcome:?}")),
    }
}

/// A circuit that counts failures in a row alone.
async fn consecutive(failures: u32) -> Replay<Subject> {
    let config = serde_json::json!({ "consecutive": failures, "half_open_permits": 1 });
    of(&config).await
}

async fn of(config: &Value) -> Replay<Subject> {
    let case = serde_json::json!({
        "id": "", "kind": "", "layer": "", "model": "", "title": "", "config": config,
    });
    let case: Case = serde_json::from_value(case).expect("a case");
    Ok(Subject::new(&Settings::of(&case)?).await)
}

/// A state, an outcome, and the next state.
pub(super) fn states(case: &Case) -> Replay {
    for row in &case.rows {
        let row = Fields::of(row);
        let breaks = row.bool("should_break")? == Some(true);
        crate::paused(async {
            let mut subject = consecutive(if breaks { 1 } else { 1_000 }).await?;
            let state = row.must("state", Fields::str)?;
            // A call that ends in a state in which none is let in was let in before.
            let before = subject.admit();
            let permit = match state {
                "HALF_OPEN" => {
                    subject.force("OPEN")?;
                    subject.force("HALF_OPEN")?;
                    subject.admit()
                }
                "ISOLATED" => {
                    subject.isolations.insert(0, subject.breaker.isolate());
                    before
                }
                state => {
                    subject.force(state)?;
                    before
                }
            };
            let Some(permit) = permit else {
                return failed("not let in");
            };
            subject.report(permit, letter(&row, "outcome")?);
            expect(state, subject.state(), row.must("next", Fields::str)?)
        })?;
        row.end()?;
    }
    Fields::of(&case.config).end()
}

/// Which changes of state may be made by hand.
pub(super) fn legal(case: &Case) -> Replay {
    let settings = Settings::of(case)?;
    for row in &case.rows {
        let row = Fields::of(row);
        crate::paused(async {
            let subject = Subject::new(&settings).await;
            let (from, to) = (row.must("from", Fields::str)?, row.must("to", Fields::str)?);
            if from == "HALF_OPEN" {
                subject.force("OPEN")?;
            }
            subject.force(from)?;
            expect("from", subject.state(), from)?;
            let legal = subject.force(to)?;
            expect("legal", legal, row.must("legal", Fields::bool)?)?;
            expect("to", subject.state(), if legal { to } else { from })
        })?;
        row.end()?;
    }
    Ok(())
}

/// When so many calls of which such a share failed open a circuit.
pub(super) fn predicate(case: &Case) -> Replay {
    for row in &case.rows {
        let row = Fields::of(row);
        let calls = row.must("throughput", Fields::u64)?;
        let failures = portion(row.must("rate", Fields::f64)?, calls)?;
        let config = serde_json::json!({
            "window_size": 100,
            "min_calls": row.must("min", Fields::u64)?,
            "threshold": row.must("threshold", Fields::f64)?,
        });
        crate::paused(async {
            let mut subject = of(&config).await?;
            for i in 0..calls {
                let failed = i >= calls - failures;
                let outcome = if failed {
                    Outcome::FAILURE
                } else {
                    Outcome::Success
                };
                if !subject.call(outcome) {
                    break;
                }
            }
            let tripped = subject.breaker.state() == State::Open;
            expect("trip", tripped, row.must("trip", Fields::bool)?)
        })?;
        row.end()?;
    }
    Fields::of(&case.config).end()
}

/// Sequences of outcomes by letters, and what comes of each.
pub(super) fn sequences(case: &Case) -> Replay {
    match case.model.as_str() {
        "threshold" => thresholds(case),
        "rate-window-simple" => whole_sequences(case),
        _ if case.rows.iter().any(|row| row.contains_key("advance_ms")) => {
            one_after_the_other(case)
        }
        _ => success_rates(case),
    }
}

const SHARE: &str = "so many of so many is a share here, which is judged once there are as many";

/// Thresholds of so many in a row, or so many of so many, in the closed and the half-open state.
fn thresholds(case: &Case) -> Replay {
    // The tables are two: one begins with a circuit that is half-open.
    let half_open = case.rows.iter().any(|row| row["state"] == "HALF_OPEN");
    for row in &case.rows {
        let row = Fields::of(row);
        let config = row.must("config", Fields::object)?;
        let number = |name: &str| config.u64(name);
        let (failures, of) = (number("failures")?, number("of")?);
        let (successes, s_of) = (number("successes")?, number("s_of")?);
        config.end()?;
        let base = Policy::new().open_for(OpenWait::fixed(Duration::from_secs(1)));
        let policy = if half_open {
            // A threshold on successes counts alone where there is one.
            let (probes, may_fail) = match (successes, failures) {
                (Some(successes), _) => {
                    let probes = s_of.unwrap_or(successes);
                    (probes, probes - successes)
                }
                (None, Some(failures)) => (of.unwrap_or(failures), failures - 1),
                (None, None) => return unknown("no threshold"),
            };
            base.probes(count(probes)?).probe_failures(may_fail as u32)
        } else {
            match (failures, of) {
                (Some(failures), None) => base.consecutive(count(failures)?).without_failure_rate(),
                (Some(failures), Some(of)) => {
                    let size = u16::try_from(of).ok().and_then(NonZeroU16::new);
                    let rate = Rate::new(failures as f64 / of as f64).ok();
                    let (Some(size), Some(rate)) = (size, rate) else {
                        return unknown(format!("{failures} of {of}"));
                    };
                    base.without_consecutive()
                        .window(Window::calls(size))
                        .min_calls(count(of)?)
                        .failure_rate(rate)
                }
                // The library's own default.
                (None, _) => base.consecutive(NonZeroU32::MIN),
            }
        };
        let settings = Settings::from(policy);
        crate::paused(async {
            let mut subject = Subject::new(&settings).await;
            if half_open {
                subject.force("OPEN")?;
                subject.force("HALF_OPEN")?;
            }
            let text = row.must("seq", Fields::str)?;
            for outcome in Outcome::letters(text)? {
                expect(text, subject.call(outcome), true)?;
            }
            let outcome = expect(text, subject.state(), row.must("state", Fields::str)?);
            match of {
                Some(of) if !half_open && of > text.len() as u64 => differing(SHARE, outcome),
                _ => outcome,
            }
        })?;
        row.end()?;
    }
    Fields::of(&case.config).end()
}

/// Judged once, after the whole of a sequence.
fn whole_sequences(case: &Case) -> Replay {
    for row in &case.rows {
        let row = Fields::of(row);
        let text = row.must("seq", Fields::str)?;
        let mut config = case.config.clone();
        config.insert("min_calls".into(), text.len().into());
        crate::paused(async {
            let mut subject = of(&config.into()).await?;
            for outcome in Outcome::letters(text)? {
                expect(text, subject.call(outcome), true)?;
            }
            expect(text, subject.state(), row.must("state", Fields::str)?)
        })?;
        row.end()?;
    }
    Ok(())
}

/// Least shares of successes, each with a circuit of its own.
fn success_rates(case: &Case) -> Replay {
    for row in &case.rows {
        let row = Fields::of(row);
        let mut config = case.config.clone();
        for (name, setting) in [("min", "min_calls"), ("threshold", "min_success_rate")] {
            config.extend(
                row.get(name)
                    .map(|value| (setting.to_owned(), value.clone())),
            );
        }
        crate::paused(async {
            let mut subject = of(&config.into()).await?;
            let spacing = row.ms("spacing_ms")?.unwrap_or_default();
            let trips = match row.get("trip") {
                Some(Value::Array(trips)) => trips.clone(),
                Some(_) => Vec::new(),
                None => return unknown("no trip"),
            };
            let text = row
                .str("seq")?
                .map_or("F".repeat(trips.len()), str::to_owned);
            for (i, outcome) in Outcome::letters(&text)?.into_iter().enumerate() {
                expect(&text, subject.call(outcome), true)?;
                let tripped = subject.breaker.state() == State::Open;
                if let Some(want) = trips.get(i) {
                    expect(&text, Value::from(tripped), want.clone())?;
                }
                advance(spacing).await;
            }
            if let Some(want) = row.get("trip").filter(|trip| trip.is_boolean()) {
                let tripped = subject.breaker.state() == State::Open;
                expect(&text, &Value::from(tripped), want)?;
            }
            Ok(())
        })?;
        row.end()?;
    }
    Ok(())
}

/// Sequences that follow each other through one circuit.
fn one_after_the_other(case: &Case) -> Replay {
    crate::paused(async {
        let mut subject = of(&case.config.clone().into()).await?;
        for row in &case.rows {
            let row = Fields::of(row);
            advance(row.ms("advance_ms")?.unwrap_or_default()).await;
            if let Some(text) = row.str("seq")? {
                let (letters, apart) = text.split_once('(').unwrap_or((text, ""));
                let (words, seconds) = numbers(apart);
                let spacing = match (words.as_str(), seconds.as_slice()) {
                    ("", []) => Duration::ZERO,
                    ("# s apart)", &[seconds]) => Duration::from_secs(seconds),
                    _ => return unknown(format!("seq {text:?}")),
                };
                for outcome in Outcome::letters(letters)? {
                    expect(text, subject.call(outcome), true)?;
                    advance(spacing).await;
                }
                let tripped = subject.breaker.state() == State::Open;
                expect(text, tripped, row.must("tripped", Fields::bool)?)?;
            }
            row.end()?;
        }
        Ok(())
    })
}

/// How open waits grow, and what a refused caller is told of them.
pub(super) fn open_waits(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    let wait = config.ms("break_ms")?.unwrap_or(Duration::from_secs(1));
    config.end()?;
    for row in &case.rows {
        let row = Fields::of(row);
        let growing = row.get("cycle").is_some();
        let policy = Policy::new()
            .consecutive(NonZeroU32::MIN)
            .open_for(match growing {
                true => OpenWait::growing(wait, Duration::MAX).jitter(Jitter::None),
                false => OpenWait::fixed(wait).jitter(Jitter::None),
            });
        let settings = Settings::from(policy);
        crate::paused(async {
            let mut subject = Subject::new(&settings).await;
            if growing {
                return cycles(&row, &mut subject, wait).await;
            }
            match row.must("state", Fields::str)? {
                "OPEN" => {
                    subject.call(Outcome::FAILURE);
                }
                "ISOLATED" => {
                    subject.isolations.insert(0, subject.breaker.isolate());
                }
                state => return unknown(format!("state {state:?}")),
            }
            advance(row.ms("elapsed_ms")?.unwrap_or_default()).await;
            let Err(open) = subject.breaker.try_acquire() else {
                return failed("let in");
            };
            let want = match row.get("retry_after_ms") {
                Some(Value::Null) => None,
                _ => Some(row.must("retry_after_ms", Fields::ms)?),
            };
            expect("retry_after_ms", open.retry_after(), want)
        })?;
        row.end()?;
    }
    Ok(())
}

/// Times that a circuit opens, which is closed in between: `5x(OPEN,HALF_OPEN) then CLOSED`.
fn rounds(text: &str) -> Replay<String> {
    let round = |part: &str| {
        let (words, numbers) = numbers(part);
        match (words.as_str(), numbers.as_slice()) {
            ("CLOSED", []) => Ok("S".to_owned()),
            ("#x(OPEN,HALF_OPEN)", &[times]) => Ok("F".repeat(times as usize)),
            _ => unknown(format!("cycle {part:?}")),
        }
    };
    text.split(" then ").map(round).collect()
}

/// What a circuit goes through: `open, probe fails`.
fn events(text: &str) -> Replay<String> {
    let event = |part| match part {
        "open" | "probe fails" => Ok("F"),
        "probe succeeds" => Ok("S"),
        _ => unknown(format!("cycle {part:?}")),
    };
    text.split(", ").map(event).collect()
}

/// Opens, probes and closes, and looks at which step each wait was: the waits double.
async fn cycles(row: &Fields<'_>, subject: &mut Subject, wait: Duration) -> Replay {
    let cycle = row.must("cycle", Fields::str)?;
    let (outcomes, first, name) = match cycle.strip_prefix("CLOSED then ") {
        Some(rest) => (rounds(rest)?, 0, "attempts_seen"),
        None => (events(cycle)?, 1, "attempt_seen"),
    };
    let mut seen = Vec::new();
    for outcome in Outcome::letters(&outcomes)? {
        let known = subject.transitions().len();
        expect("let in", subject.call(outcome), true)?;
        let opened = subject.transitions()[known..].iter().find_map(|it| it.wait);
        seen.push(opened.map(|it| (it.as_millis() / wait.as_millis()).ilog2() + first));
        advance(opened.unwrap_or_default()).await;
    }
    let want = row.must(name, Fields::array)?;
    let want: Vec<_> = want.iter().map(|n| n.as_u64().map(|n| n as u32)).collect();
    // A closing is not always written down.
    if !want.contains(&None) {
        seen.retain(Option::is_some);
    }
    expect(name, seen, want)
}
