//! Defects of the waits between attempts: of the chance in them, and of the arithmetic.

use std::time::Duration;

use backstop_core::{Budget, HttpStatus, RetryHint};
use backstop_retry::{Exponential, Jitter, Random, RetryLayer};
use serde_json::Value;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

use super::{
    backoff::exponential,
    defects::{of, property},
};
use crate::{
    fields::Fields,
    outcome::{Replay, differs, expect, failed, unknown},
    upstream::Upstream,
};

/// The waits of one call over a service that always fails.
async fn waits(layer: &RetryLayer<HttpStatus>) -> Vec<Duration> {
    let upstream = Upstream::always(503);
    let service = ServiceBuilder::new().layer(layer).service(upstream.clone());
    let _ = service.oneshot(()).await;
    upstream.waits()
}

pub(super) fn own_chance(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    expect("policy", config.must("policy", Fields::str)?, "exp+jitter")?;
    property(
        row,
        "delay vectors pairwise different; correlation < 0.1 over 10 000",
    )?;
    let layer = RetryLayer::new()
        .attempts(of(5))
        .classify(HttpStatus::new());
    let requests = row.must("requests", Fields::u64)?;
    crate::paused(async {
        let mut seen = Vec::new();
        for _ in 0..requests {
            let waits = waits(&layer).await;
            expect("a vector seen before", seen.contains(&waits), false)?;
            seen.push(waits);
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for _ in 0..10_000 {
            one.push(waits(&layer).await[0].as_secs_f64());
            other.push(waits(&layer).await[0].as_secs_f64());
        }
        expect(
            "correlation < 0.1",
            correlation(&one, &other).abs() < 0.1,
            true,
        )
    })
}

fn correlation(xs: &[f64], ys: &[f64]) -> f64 {
    let (mean_x, mean_y) = (mean(xs), mean(ys));
    let pairs = xs.iter().zip(ys);
    let covariance: f64 = pairs.map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    covariance / (deviation(xs) * deviation(ys) * xs.len() as f64)
}

fn mean(xs: &[f64]) -> f64 {
    xs.iter().sum::<f64>() / xs.len() as f64
}

fn deviation(xs: &[f64]) -> f64 {
    let mean = mean(xs);
    let squares = xs.iter().map(|x| (x - mean).powi(2));
    (squares.sum::<f64>() / xs.len() as f64).sqrt()
}

pub(super) fn chance_at_the_cap(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    property(row, "stddev > 10 % of cap")?;
    let cap = config.must("max_ms", Fields::ms)?;
    let attempt = row.must("attempt", Fields::u64)? as usize;
    let wait = exponential(config.must("base_ms", Fields::ms)?, cap)?.nth(attempt);
    expect("at the cap", wait, Some(cap))?;
    let draws = row.must("draws", Fields::u64)?;
    for jitter in [Jitter::Full, Jitter::Equal] {
        let mut random = Random::seeded(2);
        let draw = |_| jitter.spread(cap, &mut random).as_secs_f64();
        let draws: Vec<_> = (0..draws).map(draw).collect();
        expect("spread", deviation(&draws) > cap.as_secs_f64() / 10.0, true)?;
    }
    Ok(())
}

pub(super) fn within_bounds(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let [base, cap] = ["base_ms", "max_ms"].map(|name| config.must(name, Fields::ms));
    let attempt = row.must("attempt", Fields::u64)? as usize;
    let bounds = row.must("lo_ms", Fields::ms)?..=row.must("hi_ms", Fields::ms)?;
    let Some(wait) = exponential(base?, cap?)?.nth(attempt) else {
        return failed("the waits are at an end");
    };
    let mut random = Random::seeded(3);
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
        let wait = jitter.spread(wait, &mut random);
        expect(
            "within bounds",
            bounds.contains(&wait) && !wait.is_zero(),
            true,
        )?;
    }
    Ok(())
}

/// Jitter only shortens a wait with us, so the range is another one than where it lengthens it;
/// how fine it is does not depend on that.
pub(super) fn resolution(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let [base, cap] = ["base_ms", "max_ms"].map(|name| config.must(name, Fields::ms));
    expect("jitter", config.must("jitter", Fields::f64)?, 0.5)?;
    let attempt = row.must("attempt", Fields::u64)? as usize;
    let wait = exponential(base?, cap?)?.nth(attempt).expect("endless");
    let mut random = Random::seeded(4);
    let draws = row.must("draws", Fields::u64)?;
    let distinct = (0..draws).map(|_| Jitter::Equal.spread(wait, &mut random).as_millis());
    let distinct: std::collections::BTreeSet<_> = distinct.collect();
    let property = row.must("property", Fields::str)?;
    if !property.starts_with("> 100 distinct millisecond values in ") {
        return unknown(format!("property {property:?}"));
    }
    expect("> 100 distinct", distinct.len() > 100, true)?;
    differs("as fine, but between half of a wait and the whole of it: jitter only shortens here")
}

pub(super) fn never_zero(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    expect("r_min", row.must("r_min", Fields::str)?, "2^-53")?;
    property(
        row,
        "delay > 0 for every draw; no range(0..0) panic when the bound is 0",
    )?;
    let base = config.must("base_ms", Fields::ms)?;
    let mut random = Random::seeded(5);
    for wait in [
        base,
        Duration::from_nanos(1),
        Duration::from_nanos(2),
        Duration::MAX,
    ] {
        let zero = (0..10_000).any(|_| Jitter::Full.spread(wait, &mut random).is_zero());
        expect("zero", zero, false)?;
    }
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
        expect(
            "of nothing",
            jitter.spread(Duration::ZERO, &mut random),
            Duration::ZERO,
        )?;
    }
    Ok(())
}

pub(super) fn extremes(_: &Fields<'_>, row: &Fields<'_>) -> Replay {
    row.skip(&["rule"]);
    let mut random = Random::seeded(6);
    let spans = [
        Duration::from_nanos(1),
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ];
    match row.must("expr", Fields::str)? {
        // A wait beyond the end of the clock, without a cap or a deadline.
        "now + wait" => crate::paused(async {
            let layer = RetryLayer::new()
                .jitter(Jitter::None)
                .retry_after_cap(Duration::MAX)
                .backoff(std::iter::repeat(Duration::MAX));
            let service = ServiceBuilder::new()
                .layer(layer)
                .service(service_fn(|(): ()| async {
                    Err::<(), BoxError>("down".into())
                }));
            let call = tokio::time::timeout(Duration::from_secs(86_400), service.oneshot(()));
            expect("still waiting", call.await.is_err(), true)
        }),
        "Duration from f64" => {
            for text in [
                "1e309s",
                "-1s",
                "NaNs",
                "infs",
                "99999999999999999999.9s",
                ".s",
                "s",
            ] {
                let _ = RetryHint::from_delay(text);
            }
            for share in [f64::NAN, f64::INFINITY, -1.0, 1e308] {
                expect("a budget", Budget::ratio(share).is_ok(), false)?;
            }
            Ok(())
        }
        "base * factor^n" => {
            for base in spans {
                for n in [0, 1, 63, 64, 65, u32::MAX as usize, usize::MAX] {
                    let wait = Exponential::new(base, Duration::MAX)
                        .expect("no cap")
                        .nth(n);
                    expect("a wait", wait.is_some_and(|wait| !wait.is_zero()), true)?;
                }
            }
            Ok(())
        }
        "Duration * f64" => {
            for wait in spans {
                for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
                    let spread = jitter.spread(wait, &mut random);
                    expect("shorter", spread <= wait && !spread.is_zero(), true)?;
                }
            }
            Ok(())
        }
        expr => unknown(format!("expr {}", Value::from(expr))),
    }
}
