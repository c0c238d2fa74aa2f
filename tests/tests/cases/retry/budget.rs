//! Budgets that bound how much is tried again.

use std::{num::NonZeroU32, time::Duration};

use backstop_core::{Budget, FaultKind};
use backstop_retry::Exponential;
use serde_json::Value;

use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, differing, differs, expect, failed, unknown},
};

/// Our bucket has no reserve that grows and no tokens that age: it is a plain bucket.
const AGES: &str = "tokens don't grow old here, and there is no reserve but what a budget begins \
                    with: a bucket that is full is full";

pub(super) fn replay(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    config.skip(&["ttl_ms", "min_per_s"]);
    for row in &case.rows {
        let row = Fields::of(row);
        if row.get("seq").is_some() {
            differing(AGES, sequence(&row))?;
        } else if row.get("requests").is_some() {
            share(&row)?;
        } else if row.get("grants").is_some() {
            reserve(&row)?;
        } else {
            differing(AGES, bounds(&row))?;
        }
        row.end()?;
    }
    config.end()
}

/// A bucket that gets `share` of a token for each call, and holds enough.
pub(super) fn ratio(share: f64, initial: u32) -> Replay<Budget> {
    match Budget::ratio(share) {
        Ok(budget) => {
            let plenty = NonZeroU32::new(1_000_000).expect("not zero");
            Ok(budget.capacity(plenty).initial(initial))
        }
        Err(error) => failed(error.to_string()),
    }
}

pub(super) fn draws(budget: &Budget) -> bool {
    let withdrawal = budget.try_withdraw(FaultKind::Unavailable);
    withdrawal.map(|withdrawal| withdrawal.spend()).is_some()
}

/// So many deposits, each followed by an attempt to withdraw.
pub(super) fn share(row: &Fields<'_>) -> Replay {
    let share = row.must("percent", Fields::f64)?;
    let budget = ratio(share, 0)?;
    let requests = row.must("requests", Fields::u64)?;
    let granted = (0..requests)
        .filter(|_| {
            budget.deposit();
            draws(&budget)
        })
        .count() as u64;
    let want = match row.u64("retries")? {
        Some(want) => want,
        None => row.must("grants", Fields::u64)?,
    };
    let off = row.u64("tolerance")?.unwrap_or(1);
    expect("granted", granted.abs_diff(want) <= off, true)
}

/// What can be withdrawn without any deposit.
fn reserve(row: &Fields<'_>) -> Replay {
    let lasts = row.must("ttl_ms", Fields::ms)?;
    let each_second = row.must("min_per_s", Fields::u64)?;
    expect("percent", row.must("percent", Fields::f64)?, 0.0)?;
    let initial = each_second * lasts.as_secs();
    // Nothing is deposited, so any share will do.
    let budget = ratio(0.1, initial as u32)?;
    let granted = (0..100).filter(|_| draws(&budget)).count() as u64;
    expect("grants", granted, row.must("grants", Fields::u64)?)
}

fn bounds(row: &Fields<'_>) -> Replay {
    if row.bool("valid")? == Some(false) {
        return match row.f64("percent")? {
            Some(share) => expect("valid", Budget::ratio(share).is_ok(), false),
            None => failed("there is no such setting"),
        };
    }
    if let Some(deposits) = row.u64("deposits")? {
        let budget = ratio(row.must("percent", Fields::f64)?, 0)?;
        (0..deposits).for_each(|_| budget.deposit());
        return expect(
            "balance",
            budget.balance(),
            row.must("balance", Fields::f64)?,
        );
    }
    failed("a share of zero is refused when the budget is made")
}

fn sequence(row: &Fields<'_>) -> Replay {
    row.skip(&["name", "ttl_ms"]);
    let budget = ratio(
        row.must("percent", Fields::f64)?,
        row.must("min_per_s", Fields::u64)? as u32,
    )?;
    for step in row
        .must("seq", Fields::array)?
        .iter()
        .flat_map(Value::as_str)
    {
        match step.split_once(':').unwrap_or((step, "")) {
            ("deposit", "") => budget.deposit(),
            ("withdraw", granted) => expect("granted", draws(&budget).to_string(), granted.into())?,
            // Time is nothing to a bucket.
            ("advance", _) => {}
            _ => return unknown(format!("step {step:?}")),
        }
    }
    Ok(())
}

/// What can't be configured.
pub(super) fn config(case: &Case) -> Replay {
    for row in &case.rows {
        let row = Fields::of(row);
        if let Some(jitter) = row.str("jitter")? {
            // No jitter is a number here; the numbers of a budget must be finite.
            let Ok(number) = jitter.parse::<f64>() else {
                return unknown(format!("jitter {jitter:?}"));
            };
            expect("finite", number.is_finite(), false)?;
            expect(
                "valid",
                Budget::ratio(number).is_ok(),
                row.must("valid", Fields::bool)?,
            )?;
        } else if let Some(tokens) = row.u64("max_tokens")? {
            let valid = NonZeroU32::new(tokens as u32).map(Budget::tokens).is_some();
            let valid = expect("valid", valid, row.must("valid", Fields::bool)?);
            differing("a bucket may hold more than gRPC's thousand tokens", valid)?;
        } else if row.get("token_ratio").is_some() {
            return differs(
                "a share of calls is exact to a millionth here, gRPC's to a thousandth",
            );
        } else if let Some(base) = row.ms("base_ms")? {
            let cap = row.ms("max_ms")?.unwrap_or(Duration::MAX);
            let valid = Exponential::new(base, cap).is_ok();
            expect("valid", valid, row.must("valid", Fields::bool)?)?;
        } else {
            return unknown(format!("row of {}", case.id));
        }
        row.end()?;
    }
    Fields::of(&case.config).end()
}
