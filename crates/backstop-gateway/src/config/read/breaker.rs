//! When a candidate is left alone, and for how long.

use std::num::{NonZeroU16, NonZeroU32};

use backstop_circuit_breaker::Window;

use super::{count, kinds::kinds, positive, read};
use crate::config::{
    Breaker,
    reader::{Table, Value},
};

/// The part of the calls that being slow opens a circuit, unless another is given.
const SLOW_RATE: f64 = 0.5;

/// Reads `breaker`; `standard` is what it need not say.
pub(super) fn breaker(mut table: Table<'_>, standard: &Breaker) -> Breaker {
    let set = |value: &Value<'_>| Some(kinds(value));
    let slow = slow(&mut table).unwrap_or(standard.slow);
    let open_for = table.get("open_for").and_then(|it| positive(&it));
    let open_cap = table.get("open_cap").and_then(|it| positive(&it));
    let cap = standard.retry_after_cap;
    let breaker = Breaker {
        failures: read(&mut table, "failures", failures, standard.failures),
        rate: read(&mut table, "rate", rate, standard.rate),
        slow,
        min_calls: read(&mut table, "min_calls", count, standard.min_calls),
        window: read(&mut table, "window", window, standard.window),
        open_for: open_for.unwrap_or(standard.open_for),
        // Whoever changes the wait alone means one that does not grow.
        open_cap: open_cap.or(open_for).unwrap_or(standard.open_cap),
        probes: read(&mut table, "probes", count, standard.probes),
        probe_failures: read(&mut table, "probe_failures", some, standard.probe_failures),
        half_open_for: table
            .get("half_open_for")
            .and_then(|it| positive(&it))
            .or(standard.half_open_for),
        retry_after_cap: read(&mut table, "retry_after_cap", Value::duration, cap),
        quota_wait: read(&mut table, "quota_wait", positive, standard.quota_wait),
        counts: read(&mut table, "counts", set, standard.counts),
        at_once: read(&mut table, "at_once", set, standard.at_once),
        hold_off: read(&mut table, "hold_off", set, standard.hold_off),
    };
    if breaker.open_cap < breaker.open_for {
        table.problem(
            "has an `open_cap` below its `open_for`",
            "raise `open_cap`, or lower `open_for`",
        );
    }
    if breaker.probe_failures >= breaker.probes.get() {
        table.problem(
            "lets all of its `probes` fail",
            "raise `probes`, or lower `probe_failures`",
        );
    }
    table.finish();
    breaker
}

/// `slow_after`, and the part of the calls that may be; none where it says nothing of either.
fn slow(table: &mut Table<'_>) -> Option<Option<(std::time::Duration, f64)>> {
    let after = table.get("slow_after").and_then(|it| positive(&it));
    let rate = table.get("slow_rate").and_then(|it| rate(&it));
    match (after, rate) {
        (None, None) => None,
        (Some(after), rate) => Some(rate.unwrap_or(Some(SLOW_RATE)).map(|rate| (after, rate))),
        (None, Some(_)) => {
            let instead = "add slow_after = \"10s\", the time to the first content";
            table.problem("has a `slow_rate`, and nothing is slow", instead);
            None
        }
    }
}

/// A part of all calls; 0 stands for no such rule.
fn rate(value: &Value<'_>) -> Option<Option<f64>> {
    let rate = value.number(0.0..=1.0)?;
    Some((rate > 0.0).then_some(rate))
}

/// A number of failures; 0 stands for no such rule.
fn failures(value: &Value<'_>) -> Option<Option<NonZeroU32>> {
    some(value).map(NonZeroU32::new)
}

fn some(value: &Value<'_>) -> Option<u32> {
    u32::try_from(value.integer(0..=1_000_000)?).ok()
}

/// A time, or `"100 calls"`.
fn window(value: &Value<'_>) -> Option<Window> {
    let text = value.string()?;
    if let Some(number) = text.strip_suffix("calls") {
        if let Some(calls) = number.trim().parse().ok().and_then(NonZeroU16::new) {
            return Some(Window::calls(calls));
        }
    } else if let Some(length) = crate::config::units::duration(&text) {
        if !length.is_zero() {
            return Some(Window::time(length));
        }
    }
    value.problem(
        "is no window to count calls in",
        "write it as \"60s\" or \"100 calls\"",
    );
    None
}
