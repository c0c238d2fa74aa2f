//! The retries of the AWS SDKs: attempts, waits and tokens in step with each other.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use backstop_core::{Budget, Fault, FaultKind, FaultKinds, Verdict, classify_fn};
use backstop_retry::{Exponential, Jitter, RetryLayer};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

use super::{backoff::exponential, budget::draws, defects::of};
use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, differing, expect, failed, unknown},
    words::numbers,
};

/// What the SDKs call throttling.
const THROTTLED: FaultKind = FaultKind::Overloaded;

struct Settings {
    attempts: NonZeroU32,
    backoff: Exponential,
    throttled: Exponential,
    budget: Budget,
}

impl Settings {
    fn read(config: &Fields<'_>, attempts: u64) -> Replay<Self> {
        config.skip(&["spec", "long_poll"]);
        let number = |name| config.must(name, Fields::u64);
        let cap = match config.ms("max_backoff_ms")? {
            Some(cap) => cap,
            None => config.must("max_ms", Fields::ms)?,
        };
        // The SDKs' own formula has r in it: 1 is the whole wait.
        if config.f64("jitter_r")?.is_some_and(|r| r != 1.0) {
            return unknown("a jitter_r other than 1");
        }
        let capacity = NonZeroU32::new(500).expect("not zero");
        let budget = Budget::tokens(capacity)
            .cost(FaultKinds::ALL, number("cost")? as u32)
            .cost(
                FaultKinds::of(&[THROTTLED]),
                number("throttle_cost")? as u32,
            )
            .initial(number("tokens")? as u32);
        let Some(attempts) = NonZeroU32::new(attempts as u32) else {
            return unknown("no attempts at all");
        };
        Ok(Self {
            attempts,
            backoff: exponential(config.must("base_ms", Fields::ms)?, cap)?,
            // A cap below where the waits begin is all there is to them.
            throttled: exponential(config.must("throttle_base_ms", Fields::ms)?.min(cap), cap)?,
            budget,
        })
    }
}

/// What each attempt of a call saw: when it was made, and how many tokens were left.
type Seen = Arc<Mutex<Vec<(Instant, f64)>>>;

/// Makes one call, whose attempts come to these kinds of failure in turn; to none, to success.
async fn call(settings: &Settings, script: Vec<Option<FaultKind>>) -> Vec<(Instant, f64)> {
    let seen = Seen::default();
    let layer = RetryLayer::new()
        .attempts(settings.attempts)
        .backoff(settings.backoff.clone())
        .throttled(settings.throttled.clone())
        .jitter(Jitter::None)
        .budget(settings.budget.clone())
        .classify(classify_fn(
            |result: Result<&Option<FaultKind>, &BoxError>| match result {
                Ok(Some(kind)) => Verdict::Failure(Fault::new(*kind)),
                _ => Verdict::Success,
            },
        ));
    let upstream = {
        let (seen, budget) = (seen.clone(), settings.budget.clone());
        service_fn(move |(): ()| {
            let mut seen = seen.lock().expect("no panic");
            let answer = script.get(seen.len()).copied().flatten();
            seen.push((Instant::now(), budget.balance()));
            std::future::ready(Ok::<_, BoxError>(answer))
        })
    };
    let service = ServiceBuilder::new().layer(layer).service(upstream);
    let _ = service.oneshot(()).await;
    let mut seen = seen.lock().expect("no panic").clone();
    seen.push((Instant::now(), settings.budget.balance()));
    seen
}

/// The kind of failure that a response is.
fn kind(step: &Fields<'_>) -> Replay<Option<FaultKind>> {
    let code = step.str("error_code")?;
    Ok(match (step.must("status", Fields::u64)?, code) {
        (_, Some(code)) if code.starts_with("Throttl") => Some(THROTTLED),
        (_, Some(code)) => return unknown(format!("error_code {code:?}")),
        (200..=299, None) => None,
        (500.., None) => Some(FaultKind::Unavailable),
        (400..=499, None) => Some(FaultKind::Invalid),
        (status, None) => return unknown(format!("status {status}")),
    })
}

/// Responses in turn, which may be those of several calls.
pub(super) fn steps(case: &Case) -> Replay {
    let outcome = crate::paused(async {
        let config = Fields::of(&case.config);
        let settings = Settings::read(&config, config.must("max_attempts", Fields::u64)?)?;
        config.end()?;
        let ends_call = |step: &Map<String, Value>| step["expect"]["outcome"] != "retry";
        for steps in case.steps.split_inclusive(ends_call) {
            one_call(&settings, steps).await?;
        }
        Ok(())
    });
    let asks = |step: &Map<String, Value>| {
        let wait = step.get("x-amz-retry-after").and_then(Value::as_str);
        wait.is_some_and(|wait| wait.parse::<u64>().is_ok())
    };
    if case.steps.iter().any(asks) {
        return differing("the header is one vendor's own; it is not read", outcome);
    }
    let waits_in_vain = case.steps.iter().any(|step| {
        step["expect"]["outcome"] == "quota" && step["expect"].get("delay_ms").is_some()
    });
    if waits_in_vain {
        return differing("nothing is waited for after the last attempt", outcome);
    }
    outcome
}

async fn one_call(settings: &Settings, steps: &[Map<String, Value>]) -> Replay {
    let mut script = Vec::new();
    for step in steps {
        script.push(kind(&Fields::of(step))?);
    }
    let seen = call(settings, script.clone()).await;
    expect("attempts", seen.len() - 1, steps.len())?;
    for (i, step) in steps.iter().enumerate() {
        let step = Fields::of(step);
        step.skip(&["status", "error_code", "x-amz-retry-after"]);
        expect("op", step.must("op", Fields::str)?, "response")?;
        let want = step.must("expect", Fields::object)?;
        let (at, _) = seen[i];
        let (next, tokens) = seen[i + 1];
        if let Some(left) = want.f64("tokens")? {
            expect("tokens", tokens, left)?;
        }
        let delay = want.ms("delay_ms")?.unwrap_or_default();
        expect("delay_ms", next - at, delay)?;
        let outcome = want.must("outcome", Fields::str)?;
        let is_last = i + 1 == steps.len();
        let used_up = i as u32 + 1 == settings.attempts.get();
        expect(
            outcome,
            true,
            match (outcome, script[i]) {
                ("retry", Some(_)) => !is_last,
                ("success", None) => is_last,
                ("max_attempts", Some(_)) => is_last && used_up,
                ("quota", Some(kind)) => is_last && !used_up && kind != FaultKind::Invalid,
                ("fail", Some(kind)) => is_last && kind == FaultKind::Invalid,
                _ => return unknown(format!("outcome {outcome:?} of {:?}", script[i])),
            },
        )?;
        want.end()?;
        step.end()?;
    }
    Ok(())
}

/// Waits and costs where the kinds of failure alternate.
pub(super) fn timings(case: &Case) -> Replay {
    crate::paused(async {
        let config = Fields::of(&case.config);
        let settings = Settings::read(&config, case.rows.len() as u64 + 1)?;
        config.end()?;
        let mut script = Vec::new();
        for row in &case.rows {
            script.push(match row.get("error").and_then(Value::as_str) {
                Some("transient") => Some(FaultKind::Unavailable),
                Some("throttling") => Some(THROTTLED),
                other => return unknown(format!("error {other:?}")),
            });
        }
        let seen = call(&settings, script).await;
        for (i, row) in case.rows.iter().enumerate() {
            let row = Fields::of(row);
            row.skip(&["error"]);
            expect("retry", row.must("retry", Fields::u64)?, i as u64 + 1)?;
            expect(
                "delay_ms",
                seen[i + 1].0 - seen[i].0,
                row.must("delay_ms", Fields::ms)?,
            )?;
            expect(
                "cost",
                seen[i].1 - seen[i + 1].1,
                row.must("cost", Fields::f64)?,
            )?;
            row.end()?;
        }
        Ok(())
    })
}

/// What tries cost and bring, in words.
pub(super) fn quota(case: &Case) -> Replay {
    let full = || Budget::tokens(of(500));
    // What a second try costs tells what kind of failure it follows.
    let dear = |tokens| match tokens {
        5 => THROTTLED,
        _ => FaultKind::Connect,
    };
    let spend = |budget: &Budget, kind| {
        let withdrawal = budget.try_withdraw(kind);
        withdrawal.map(|withdrawal| withdrawal.spend())
    };
    let cost = |kind| {
        let budget = full();
        let _ = spend(&budget, kind);
        500.0 - budget.balance()
    };
    for row in &case.rows {
        let row = Fields::of(row);
        let event = row.must("event", Fields::str)?;
        let (words, numbers) = numbers(event);
        let got = match (words.as_str(), numbers.as_slice()) {
            ("acquire for throttling", []) => cost(THROTTLED),
            ("acquire for other error", []) => cost(FaultKind::Unavailable),
            ("acquire for timeout", []) => cost(FaultKind::TimedOut),
            ("acquire #, then success", &[tokens @ (5 | 14)]) => {
                let budget = full();
                budget.success(spend(&budget, dear(tokens)));
                budget.balance()
            }
            ("acquire #, all attempts fail", &[tokens @ (5 | 14)]) => {
                let budget = full();
                let _ = spend(&budget, dear(tokens));
                budget.balance()
            }
            ("first-try success at #", &[level]) => {
                let budget = full().initial(level as u32);
                budget.success(None);
                budget.balance()
            }
            // A failure is not told to the budget at all.
            ("first-try #xx at #", &[4 | 5, level]) => full().initial(level as u32).balance(),
            ("capacity #: second acquire", &[capacity]) => {
                let budget = Budget::tokens(of(capacity));
                expect("first", draws(&budget), true)?;
                expect(
                    "granted",
                    draws(&budget),
                    row.must("granted", Fields::bool)?,
                )?;
                continue;
            }
            _ => return unknown(format!("event {event:?}")),
        };
        match (row.f64("cost")?, row.f64("tokens")?) {
            (Some(want), None) | (None, Some(want)) => expect(event, got, want)?,
            _ => return failed("neither a cost nor tokens"),
        }
        row.end()?;
    }
    Fields::of(&case.config).end()
}
