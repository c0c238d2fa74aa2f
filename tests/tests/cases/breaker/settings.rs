//! The rules of other libraries in the words of our policy.

use std::{
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

use backstop_circuit_breaker::{Jitter, OpenWait, Policy, Rate, Window};
use serde_json::Value;

use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, differs, unknown},
    words::numbers,
};

/// A policy, and what a replay must know besides.
pub(super) struct Settings {
    pub(super) policy: Policy,
    /// The failure rate from which the circuit opens.
    pub(super) threshold: f64,
    /// Whether rates are given as shares of one, not in percent.
    pub(super) shares: bool,
    /// How far into a bucket of the window the case begins.
    pub(super) start: Duration,
}

/// Just above a threshold: a library that compares with `>` is one that compares with `>=` here.
const ABOVE: f64 = 1e-9;

impl From<Policy> for Settings {
    fn from(policy: Policy) -> Self {
        Self {
            policy,
            threshold: 0.5,
            shares: false,
            start: Duration::ZERO,
        }
    }
}

impl Settings {
    /// The policy of a case.
    pub(super) fn of(case: &Case) -> Replay<Self> {
        let config = Fields::of(&case.config);
        let settings = Self::read(&config, case)?;
        config.end()?;
        Ok(settings)
    }

    /// The policy of a configuration, which may be that of one row.
    pub(super) fn read(config: &Fields<'_>, case: &Case) -> Replay<Self> {
        // Prose, and what the row of a table or the interpreter of the steps looks at itself.
        config.skip(&[
            "rules",
            "note",
            "anchor",
            "roll",
            "aligned",
            "slow",
            "concurrency",
        ]);
        let shares = config.get("anchor").is_some();
        let mut policy = Policy::new().open_for(fixed(Duration::from_secs(60)));

        let consecutive = match config.get("trip") {
            None => config.u64("consecutive")?,
            Some(Value::String(rule)) => {
                let (words, numbers) = numbers(rule);
                match (words.as_str(), numbers.as_slice()) {
                    ("consecutive #" | "consecutive # or rate", &[failures]) => Some(failures),
                    (
                        "requests_counted>=# and failures/requests_counted>=#.#",
                        &[calls, 0, tenths @ 1..=9],
                    ) => {
                        let share = tenths as f64 / 10.0;
                        policy = policy.min_calls(count(calls)?).failure_rate(rate(share)?);
                        None
                    }
                    _ => return unknown(format!("trip {rule:?}")),
                }
            }
            Some(other) => return unknown(format!("trip {other}")),
        };
        // One more than may not be exceeded.
        let consecutive = match config.u64("consecutive_gt")? {
            Some(limit) => Some(limit + 1),
            None => consecutive,
        };
        policy = match consecutive {
            Some(failures) => policy.consecutive(count(failures)?),
            None => policy.without_consecutive(),
        };

        let threshold;
        (policy, threshold) = rates(config, policy, consecutive.is_some())?;
        policy = window(config, policy)?;
        policy = waits(config, policy)?;
        policy = half_open(config, policy, case)?;
        Ok(Self {
            policy,
            threshold,
            shares,
            start: config.ms("start_ms")?.unwrap_or_default(),
        })
    }
}

/// The thresholds of failed and of slow calls.
///
/// Where there is no failure rate among the rules one is added that is never reached: a circuit
/// without any counts no calls, and the cases look at them.
fn rates(config: &Fields<'_>, mut policy: Policy, consecutive: bool) -> Replay<(Policy, f64)> {
    let min_calls = config.u64("min_calls")?;
    if let Some(calls) = min_calls {
        // More than can be counted is as good as more than ever come.
        policy = policy.min_calls(count(calls.clamp(1, u32::MAX.into()))?);
    }
    let strict = match config.str("compare")? {
        None | Some(">=") => 0.0,
        Some(">") => ABOVE,
        Some(compare) => return unknown(format!("compare {compare:?}")),
    };
    let share = match (
        config.f64("failure_rate_pct")?,
        config.f64("threshold")?,
        config.f64("min_success_rate")?,
    ) {
        (Some(percent), _, _) => Some(percent / 100.0),
        (_, Some(share), _) => Some(share),
        // Fewer successes than this: more failures than the rest.
        (_, _, Some(successes)) => Some(1.0 - successes + ABOVE),
        _ => None,
    };
    let threshold = (share.unwrap_or(0.5) + strict).min(1.0);
    policy = policy.failure_rate(rate(threshold)?);
    if share.is_none() && consecutive {
        policy = policy.failure_rate(Rate::ALL).min_calls(NonZeroU32::MAX);
    } else if min_calls.is_none() && config.get("trip").is_none() {
        policy = policy.min_calls(NonZeroU32::MIN);
    }
    let after = config.ms("slow_call_ms")?;
    let slow = config.f64("slow_rate_pct")?;
    if let (Some(after), Some(percent)) = (after, slow) {
        // The library that the table is of takes a call for slow that took longer than this; the
        // clock of a case moves by whole milliseconds.
        let strict = config.get("window").is_some();
        let after = after + Duration::from_millis(strict.into());
        policy = policy.slow_calls(after, rate(percent / 100.0)?);
    } else if config.get("slow").is_some() {
        policy = policy.slow_calls(Duration::from_secs(1), Rate::ALL);
    }
    Ok((policy, threshold))
}

fn window(config: &Fields<'_>, policy: Policy) -> Replay<Policy> {
    let length = config.ms("window_ms")?;
    let buckets = config.u64("buckets")?;
    let width = config.ms("bucket_ms")?;
    let size = config.u64("window_size")?;
    let kind = match config.str("window")? {
        None if size.is_some() => "count",
        None => "time",
        Some(kind) => kind,
    };
    match kind {
        "count" => match size.and_then(|size| NonZeroU16::new(u16::try_from(size).ok()?)) {
            Some(size) => Ok(policy.window(Window::calls(size))),
            None => unknown(format!("window of {size:?} calls")),
        },
        "time" => {
            let buckets = buckets.and_then(|buckets| u8::try_from(buckets).ok());
            let of_buckets = width.zip(buckets).map(|(width, n)| width * n.into());
            Ok(match length.or(of_buckets) {
                Some(length) => {
                    let window = Window::time(length);
                    policy.window(buckets.map_or(window, |n| window.buckets(n)))
                }
                // As good as for ever.
                None => policy.window(Window::time(Duration::from_secs(86_400))),
            })
        }
        kind => unknown(format!("window {kind:?}")),
    }
}

fn waits(config: &Fields<'_>, mut policy: Policy) -> Replay<Policy> {
    if let Some(wait) = config.ms("open_ms")? {
        policy = policy.open_for(fixed(wait));
    }
    if let Some(list) = config.array("open_list_ms")? {
        let list: Vec<_> = list.iter().flat_map(Value::as_u64).collect();
        match *list.as_slice() {
            [wait] => policy = policy.open_for(fixed(Duration::from_millis(wait))),
            [first, second] => policy = policy.open_for(growing(first, second)?),
            _ => return differs("an open wait grows by a factor with us, not by a list"),
        }
    }
    if let Some(backoff) = config.object("open_backoff")? {
        let first = backoff.must("initial_ms", Fields::u64)?;
        let factor = backoff.must("multiplier", Fields::f64)?;
        backoff.end()?;
        let growing = OpenWait::growing(Duration::from_millis(first), Duration::MAX);
        let Ok(growing) = growing.factor(factor) else {
            return unknown(format!("multiplier {factor}"));
        };
        policy = policy.open_for(growing.jitter(Jitter::None));
    }
    Ok(policy)
}

fn half_open(config: &Fields<'_>, mut policy: Policy, case: &Case) -> Replay<Policy> {
    // A tumbling interval of counts in the closed state is no part of our rules.
    if config
        .u64("interval_ms")?
        .is_some_and(|interval| interval > 0)
    {
        return differs("counts are thrown away at fixed intervals; our window slides");
    }
    let permits = config.u64("half_open_permits")?;
    if let Some(probes) = permits.or(config.u64("half_open_calls")?) {
        policy = policy.probes(count(probes)?);
        // Judged by rate: so many may fail as stay below it.
        let allowed = match config.f64("half_open_fail_threshold")? {
            Some(share) => (share * probes as f64).floor(),
            None => match config.f64("failure_rate_pct")? {
                Some(percent) => (percent / 100.0 * probes as f64).ceil() - 1.0,
                None => 0.0,
            },
        };
        policy = policy.probe_failures(allowed as u32);
    }
    // A case that is about something else may take any time it likes.
    let lease = config.ms("probe_lease_ms")?;
    policy = policy.probe_lease(lease.unwrap_or(Duration::from_secs(86_400)));
    let limit = config.ms("half_open_max_wait_ms")?;
    let longest = case
        .steps
        .iter()
        .filter_map(|step| step.get("latency_ms")?.as_u64());
    let longest = Duration::from_millis(longest.max().unwrap_or(0));
    if let Some(limit) = limit.filter(|limit| *limit > longest) {
        policy = policy.max_half_open(limit);
    }
    Ok(policy)
}

fn fixed(wait: Duration) -> OpenWait {
    OpenWait::fixed(wait).jitter(Jitter::None)
}

/// An open wait of these two, and the second from then on.
fn growing(first: u64, second: u64) -> Replay<OpenWait> {
    let [from, to] = [first, second].map(Duration::from_millis);
    match OpenWait::growing(from, to).factor(second as f64 / first as f64) {
        Ok(wait) => Ok(wait.jitter(Jitter::None)),
        Err(_) => differs("an open wait never shrinks with us"),
    }
}

fn rate(share: f64) -> Replay<Rate> {
    Rate::new(share).or_else(|error| unknown(format!("rate {share}: {error}")))
}

pub(super) fn count(number: u64) -> Replay<NonZeroU32> {
    match u32::try_from(number).ok().and_then(NonZeroU32::new) {
        Some(count) => Ok(count),
        None => unknown(format!("a count of {number}")),
    }
}
