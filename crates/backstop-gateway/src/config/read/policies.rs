//! How candidates are tried, left alone and timed.

use std::time::Duration;

use backstop_retry::Jitter;

use super::{attempts, breaker::breaker, kinds::kinds, positive, read};
use crate::config::{
    ANSWER, Backoff, Breaker, Continuation, Hedge, Retry, Timeouts,
    reader::{Table, Value},
};

/// What a model says of its candidates, and `[defaults]` of all models.
#[derive(Clone, Default)]
pub(super) struct Policies {
    pub(super) retry: Retry,
    pub(super) breaker: Breaker,
    pub(super) timeout: Timeouts,
    pub(super) hedge: Option<Hedge>,
    pub(super) continues: Continuation,
}

impl Policies {
    /// Reads what `table` says of them; `standard` is what it need not say.
    pub(super) fn read(table: &mut Table<'_>, standard: &Self) -> Self {
        Self {
            retry: match table.table("retry") {
                Some(table) => retry(table, &standard.retry),
                None => standard.retry.clone(),
            },
            breaker: match table.table("breaker") {
                Some(table) => breaker(table, &standard.breaker),
                None => standard.breaker.clone(),
            },
            timeout: match table.table("timeout") {
                Some(table) => timeouts(table, &standard.timeout),
                None => standard.timeout.clone(),
            },
            hedge: read(table, "hedge", hedge, standard.hedge),
            continues: match table.get("continue") {
                Some(value) => continues(&value, standard.continues),
                None => standard.continues,
            },
        }
    }
}

fn retry(mut table: Table<'_>, standard: &Retry) -> Retry {
    let set = |value: &Value<'_>| Some(kinds(value));
    let cap = Value::duration;
    let chance = table.get("jitter");
    let retry = Retry {
        attempts: read(&mut table, "attempts", attempts, standard.attempts),
        backoff: read(&mut table, "backoff", backoff, standard.backoff),
        base: read(&mut table, "base", positive, standard.base),
        cap: read(&mut table, "cap", positive, standard.cap),
        jitter: chance.as_ref().and_then(jitter).unwrap_or(standard.jitter),
        throttled: table
            .table("throttled")
            .and_then(throttled)
            .or(standard.throttled),
        retry_after_cap: read(&mut table, "retry_after_cap", cap, standard.retry_after_cap),
        on: read(&mut table, "on", set, standard.on),
        on_hint: read(&mut table, "on_hint", set, standard.on_hint),
        min_useful: read(
            &mut table,
            "min_useful",
            Value::duration,
            standard.min_useful,
        ),
    };
    not_above(&table, retry.base, retry.cap);
    if let (Some(value), Backoff::Decorrelated) = (chance, retry.backoff) {
        value.problem(
            "adds chance to a decorrelated backoff, which is nothing else",
            "leave it out, or write backoff = \"exponential\"",
        );
    }
    table.finish();
    retry
}

/// The waits where a provider says that it gets too many calls.
fn throttled(mut table: Table<'_>) -> Option<(Duration, Duration)> {
    let base = table.require("base", "add base = \"1s\"");
    let cap = table.require("cap", "add cap = \"20s\"");
    let base = base.and_then(|it| positive(&it));
    let cap = cap.and_then(|it| positive(&it));
    if let (Some(base), Some(cap)) = (base, cap) {
        not_above(&table, base, cap);
    }
    table.finish();
    Some((base?, cap?))
}

fn not_above(table: &Table<'_>, base: Duration, cap: Duration) {
    if base > cap {
        table.problem(
            "has a `base` above its `cap`",
            "raise `cap`, or lower `base`",
        );
    }
}

fn backoff(value: &Value<'_>) -> Option<Backoff> {
    match value.string()?.as_str() {
        "decorrelated" => Some(Backoff::Decorrelated),
        "exponential" => Some(Backoff::Exponential),
        _ => {
            value.problem(
                "is no known backoff",
                "write \"exponential\" or \"decorrelated\"",
            );
            None
        }
    }
}

fn jitter(value: &Value<'_>) -> Option<Jitter> {
    match value.string()?.as_str() {
        "full" => Some(Jitter::Full),
        "equal" => Some(Jitter::Equal),
        "none" => Some(Jitter::None),
        _ => {
            value.problem(
                "is no known jitter",
                "write \"full\", \"equal\" or \"none\"",
            );
            None
        }
    }
}

/// `true`, `false`, how often, or `{ times = 2, max_partial = "256KiB" }`.
fn continues(value: &Value<'_>, standard: Continuation) -> Continuation {
    let often = |value: &Value<'_>| u32::try_from(value.integer(0..=10)?).ok();
    if value.is_table() {
        let Some(mut table) = value.table() else {
            return standard;
        };
        let continues = Continuation {
            times: read(&mut table, "times", often, standard.times),
            max_partial: read(&mut table, "max_partial", Value::size, standard.max_partial),
        };
        table.finish();
        return continues;
    }
    let times = if value.is_boolean() {
        let times = |yes| if yes { Continuation::TIMES } else { 0 };
        value.boolean().map(times)
    } else {
        often(value)
    };
    Continuation {
        times: times.unwrap_or(standard.times),
        ..standard
    }
}

/// `false`, a time without the first token, or `{ first_token = "2s", answer = "10s" }`.
fn hedge(value: &Value<'_>) -> Option<Option<Hedge>> {
    if value.is_boolean() {
        if value.boolean() == Some(true) {
            value.problem("does not say when", "write it as \"2s\"");
        }
        return Some(None);
    }
    if !value.is_table() {
        return positive(value).map(|after| Some(Hedge::new(after)));
    }
    let mut table = value.table()?;
    let first_token = table.require("first_token", "add first_token = \"2s\"");
    let first_token = first_token.and_then(|it| positive(&it));
    let answer = table.get("answer").and_then(|it| positive(&it));
    table.finish();
    let hedge = Hedge::new(first_token?);
    Some(Some(Hedge {
        answer: answer.unwrap_or(hedge.answer),
        ..hedge
    }))
}

fn timeouts(mut table: Table<'_>, standard: &Timeouts) -> Timeouts {
    let first_token = table.get("first_token").and_then(|it| positive(&it));
    let answer = table.get("answer").and_then(|it| positive(&it));
    let total = read(&mut table, "total", positive, standard.total);
    let timeouts = Timeouts {
        connect: read(&mut table, "connect", positive, standard.connect),
        first_token: first_token.unwrap_or(standard.first_token),
        // Whoever changes the limit on the first token means plain answers too.
        answer: answer.unwrap_or_else(|| {
            first_token.map_or(standard.answer, |it| it.saturating_mul(ANSWER).min(total))
        }),
        idle: read(&mut table, "idle", positive, standard.idle),
        total,
    };
    for (name, limit) in [
        ("first_token", timeouts.first_token),
        ("idle", timeouts.idle),
    ] {
        if limit > timeouts.total {
            table.problem(
                format_args!(
                    "has its `{name}` limit above its `total`, so that it can't be reached"
                ),
                format!("raise `total`, or lower `{name}`"),
            );
        }
    }
    table.finish();
    timeouts
}
