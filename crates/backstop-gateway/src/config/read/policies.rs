//! How candidates are tried, left alone and timed.

use backstop_retry::Jitter;

use super::{attempts, breaker::breaker, kinds::kinds, positive, read};
use crate::config::{
    ANSWER, Breaker, Retry, Timeouts,
    reader::{Table, Value},
};

/// How often a stream that breaks off is continued, unless a number is given.
pub(super) const CONTINUATIONS: u32 = 2;

/// What a model says of its candidates, and `[defaults]` of all models.
#[derive(Clone, Default)]
pub(super) struct Policies {
    pub(super) retry: Retry,
    pub(super) breaker: Breaker,
    pub(super) timeout: Timeouts,
    pub(super) continues: Option<u32>,
}

impl Policies {
    /// Reads what `table` says of them; `standard` is what it need not say.
    pub(super) fn read(table: &mut Table<'_>, standard: &Self) -> Self {
        let continues = table.get("continue").and_then(|value| continues(&value));
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
            continues: continues.or(standard.continues),
        }
    }
}

fn retry(mut table: Table<'_>, standard: &Retry) -> Retry {
    let set = |value: &Value<'_>| Some(kinds(value));
    let cap = Value::duration;
    let retry = Retry {
        attempts: read(&mut table, "attempts", attempts, standard.attempts),
        base: read(&mut table, "base", positive, standard.base),
        cap: read(&mut table, "cap", positive, standard.cap),
        jitter: read(&mut table, "jitter", jitter, standard.jitter),
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
    if retry.base > retry.cap {
        table.problem(
            "has a `base` above its `cap`",
            "raise `cap`, or lower `base`",
        );
    }
    table.finish();
    retry
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

/// `true`, `false`, or how often.
fn continues(value: &Value<'_>) -> Option<u32> {
    if value.is_boolean() {
        return value
            .boolean()
            .map(|yes| if yes { CONTINUATIONS } else { 0 });
    }
    u32::try_from(value.integer(0..=10)?).ok()
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
