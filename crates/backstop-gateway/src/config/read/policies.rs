//! How candidates are tried, left alone and timed.

use super::{attempts, count, positive, read};
use crate::config::{
    ANSWER, Breaker, Retry, Timeouts,
    reader::{Table, Value},
};

/// What a model says of its candidates, and `[defaults]` of all models.
#[derive(Clone, Default)]
pub(super) struct Policies {
    pub(super) retry: Retry,
    pub(super) breaker: Breaker,
    pub(super) timeout: Timeouts,
    pub(super) continues: Option<bool>,
}

impl Policies {
    /// Reads what `table` says of them; `standard` is what it need not say.
    pub(super) fn read(table: &mut Table<'_>, standard: &Self) -> Self {
        let continues = table.get("continue").and_then(|value| value.boolean());
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
    let retry = Retry {
        attempts: read(&mut table, "attempts", attempts, standard.attempts),
        base: read(&mut table, "base", positive, standard.base),
        cap: read(&mut table, "cap", positive, standard.cap),
        retry_after_cap: read(
            &mut table,
            "retry_after_cap",
            Value::duration,
            standard.retry_after_cap,
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

fn breaker(mut table: Table<'_>, standard: &Breaker) -> Breaker {
    let breaker = Breaker {
        failures: read(&mut table, "failures", count, standard.failures),
        rate: read(
            &mut table,
            "rate",
            |it| it.number(0.01..=1.0),
            standard.rate,
        ),
        min_calls: read(&mut table, "min_calls", count, standard.min_calls),
        window: read(&mut table, "window", positive, standard.window),
        open_for: read(&mut table, "open_for", positive, standard.open_for),
        probes: read(&mut table, "probes", count, standard.probes),
    };
    table.finish();
    breaker
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
