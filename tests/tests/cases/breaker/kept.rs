//! Circuits that are kept: over a restart, and many of them in a registry.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use backstop_circuit_breaker::{
    CircuitBreaker, Jitter, OpenWait, Permit, Policy, Registry, Snapshot, State,
};
use backstop_core::{FaultKind, Name};

use serde_json::Value;

use super::{settings::count, subject::advance};
use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, expect, failed, unknown},
    words::numbers,
};

/// The first open wait; the next ones are twice as long each.
const WAIT: Duration = Duration::from_secs(10);

/// What is left of a circuit after it has been saved and restored.
pub(super) fn snapshots(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    let policy = Policy::new()
        .consecutive(count(config.must("consecutive", Fields::u64)?)?)
        .open_for(OpenWait::growing(WAIT, Duration::MAX).jitter(Jitter::None));
    for row in &case.rows {
        crate::paused(snapshot(&Fields::of(row), &policy))?;
    }
    config.end()
}

async fn snapshot(row: &Fields<'_>, policy: &Policy) -> Replay {
    let saved = policy.breaker("saved");
    // In flight until the circuit has been saved.
    let mut probe = None;
    let state = row.must("saved", Fields::str)?;
    let (words, failures) = numbers(state);
    match words.as_str() {
        "CLOSED, # failures" | "CLOSED, # failure" => {
            for _ in 0..failures[0] {
                fail(&saved)?;
            }
        }
        "OPEN after one failed probe" => {
            open_and_fail_again(&saved).await?;
            advance(WAIT / 2).await;
        }
        "HALF_OPEN (probe in flight)" => {
            open_and_fail_again(&saved).await?;
            advance(WAIT * 2).await;
            probe = Some(admit(&saved)?);
            expect("saved", saved.state(), State::HalfOpen)?;
        }
        _ => return unknown(format!("saved {state:?}")),
    }
    // By way of what is written to a disk.
    let written = serde_json::to_string(&saved.snapshot()).expect("a snapshot can be written");
    drop(probe);
    let read: Snapshot = serde_json::from_str(&written).expect("and read");
    let restored = policy.breaker("restored");
    expect("restore", restored.restore(&read), Ok(()))?;

    match row.must("restored", Fields::str)? {
        "CLOSED" => expect("restored", restored.state(), State::Closed)?,
        "OPEN" => expect("restored", restored.state(), State::Open)?,
        "OPEN, immediately probe-able" => {
            expect("restored", restored.state(), State::Open)?;
            drop(admit(&restored)?);
        }
        restored => return unknown(format!("restored {restored:?}")),
    }
    if let Some(attempts) = row.array("backoff_attempts_replayed")? {
        let seen: Vec<_> = (1..=restored.counts().openings).map(Value::from).collect();
        expect("openings", &seen, attempts)?;
    }
    match row.str("wait")? {
        None => {}
        Some("remaining second wait") => {
            expect("wait", restored.remaining(), Some(WAIT * 2 - WAIT / 2))?;
        }
        Some(wait) => return unknown(format!("wait {wait:?}")),
    }
    match (row.str("then")?, row.str("state")?) {
        (None, None) => {}
        (Some(then), Some(state)) => {
            let (words, failures) = numbers(then);
            if !matches!(words.as_str(), "# failure" | "# failures") {
                return unknown(format!("then {then:?}"));
            }
            for _ in 0..failures[0] {
                fail(&restored)?;
            }
            let is_open = restored.state() == State::Open;
            expect("state", if is_open { "OPEN" } else { "CLOSED" }, state)?;
        }
        other => return unknown(format!("then {other:?}")),
    }
    row.end()
}

fn admit(breaker: &CircuitBreaker) -> Replay<Permit> {
    breaker
        .try_acquire()
        .or_else(|open| failed(open.to_string()))
}

fn fail(breaker: &CircuitBreaker) -> Replay {
    admit(breaker)?.failure(FaultKind::Unavailable);
    Ok(())
}

/// Opens a circuit, and has its first probe fail.
async fn open_and_fail_again(breaker: &CircuitBreaker) -> Replay {
    while breaker.state() == State::Closed {
        fail(breaker)?;
    }
    advance(WAIT).await;
    fail(breaker)
}

/// More keys than a registry keeps.
pub(crate) fn registry(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    let limit = config.must("max_entries", Fields::u64)? as usize;
    let Some(limit) = NonZeroUsize::new(limit) else {
        return unknown("a registry of none");
    };
    for row in &case.rows {
        let row = Fields::of(row);
        expect(
            "entries",
            row.must("entries", Fields::str)?,
            "<= 1000 + open",
        )?;
        let policy = Policy::new().consecutive(NonZeroU32::MIN);
        let registry = Registry::new(policy, |_: &u64| Name::from("key")).limit(limit);
        let keys = row.must("keys", Fields::u64)?;
        // Every thousandth of the first keys is opened, and then asked for no more.
        let opened: Vec<u64> = (0..10).map(|i| i * 1_000).collect();
        let mut most = 0;
        for key in 0..keys {
            let breaker = registry.breaker(&key);
            if opened.contains(&key) {
                fail(&breaker)?;
            }
            drop(breaker);
            most = most.max(registry.len());
        }
        expect("entries", most <= limit.get() + opened.len(), true)?;
        let kept = registry.breakers();
        let is_open = |key: &u64| {
            kept.iter()
                .any(|it| it.0 == *key && it.1.state() == State::Open)
        };
        let evicted = !opened.iter().all(is_open);
        expect(
            "open_entry_evicted",
            evicted,
            row.must("open_entry_evicted", Fields::bool)?,
        )?;
        row.end()?;
    }
    config.end()
}
