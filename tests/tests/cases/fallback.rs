//! When the next candidate is asked, and when it is started beside the first.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backstop_circuit_breaker::{CircuitBreakerLayer, State};
use backstop_core::{BoxError, Budget, ErrorsAreTransient, HttpStatus, Stamp};
use backstop_fallback::{Candidate, Chain, FallbackLayer};
use backstop_retry::RetryLayer;
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use http::Response;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, differing, differs, expect, failed, unknown},
};

pub(crate) fn replay(case: &Case) -> Replay {
    for row in &case.rows {
        crate::paused(fails_over(&Fields::of(row)))?;
    }
    Fields::of(&case.config).end()
}

/// What the first candidate does.
#[derive(Clone, Copy)]
enum First {
    Answers(u16),
    Hangs,
}

async fn fails_over(row: &Fields<'_>) -> Replay {
    let error = row.must("error", Fields::str)?;
    let first = match error {
        "caller_cancel" | "deadline_exceeded_total" => First::Hangs,
        "circuit_open" => First::Answers(200),
        error => match error.strip_prefix("http_").map(str::parse) {
            Some(Ok(status)) => First::Answers(status),
            _ => return unknown(format!("error {error:?}")),
        },
    };
    let breaker = CircuitBreakerLayer::new("primary").classify(HttpStatus::new());
    if error == "circuit_open" {
        breaker.handle().open_for(Duration::from_secs(60));
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let fallback = {
        let asked = asked.clone();
        ServedByLayer::new("fallback").layer(service_fn(move |(): ()| {
            asked.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, BoxError>(Response::new(())) }
        }))
    };
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(1)))
        .layer(FallbackLayer::new(fallback).classify(HttpStatus::new()))
        .layer(ServedByLayer::new("primary"))
        .layer(breaker)
        .service(service_fn(move |(): ()| async move {
            match first {
                First::Answers(status) => {
                    Ok::<_, BoxError>(Response::builder().status(status).body(())?)
                }
                First::Hangs => std::future::pending().await,
            }
        }));

    let mut call = tokio_test::task::spawn(service.oneshot(()));
    let response = if error == "caller_cancel" {
        expect("pending", call.poll().is_pending(), true)?;
        drop(call);
        None
    } else {
        call.await.ok()
    };
    let fell_back = asked.load(Ordering::Relaxed) > 0;
    expect("fallback", fell_back, row.must("fallback", Fields::bool)?)?;
    if let Some(name) = row.str("served_by")? {
        let stamp = response.as_ref().and_then(Stamp::served_by);
        expect("served_by", stamp.map(|stamp| &*stamp.name), Some(name))?;
    }
    row.end()
}

/// Candidates that hang, but for the last.
pub(crate) fn hedge(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    match case.model.as_str() {
        "regression" => {
            for row in &case.rows {
                crate::paused(loser(&config, &Fields::of(row)))?;
            }
            config.end()
        }
        "timeline" if case.rows.iter().all(|row| row.contains_key("outstanding")) => {
            differing(AT_MOST_TWO, crate::paused(outstanding(&config, case)))
        }
        "timeline" => differs(AT_MOST_TWO),
        "token-throttle" => differs("a budget here is spent to its last token, not to half of it"),
        model => unknown(format!("model {model:?} of hedge")),
    }
}

const AT_MOST_TWO: &str = "no more than two are in flight here: a hedge is the next candidate, and \
                           another one is started only when one of them has failed";

/// How many attempts are out as time goes by.
async fn outstanding(config: &Fields<'_>, case: &Case) -> Replay {
    let delay = config.must("delay_ms", Fields::ms)?;
    let attempts = config.must("max_attempts", Fields::u64)?;
    let asked = Arc::new(AtomicUsize::new(0));
    let candidates = (0..attempts).map(|i| {
        let asked = asked.clone();
        Candidate::new(
            i.to_string(),
            service_fn(move |(): ()| {
                asked.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<Result<(), BoxError>>()
            }),
        )
    });
    let Ok(chain) = Chain::new(candidates) else {
        return failed("no chain");
    };
    let mut call = tokio_test::task::spawn(chain.hedge(delay).oneshot(()));
    let mut now = Duration::ZERO;
    for row in &case.rows {
        let row = Fields::of(row);
        let at = row.must("at_ms", Fields::ms)?;
        // By the delay at most, so that no hedge is missed on the way.
        while now < at {
            let step = delay.min(at - now);
            expect("pending", call.poll().is_pending(), true)?;
            tokio::time::advance(step).await;
            now += step;
        }
        expect("pending", call.poll().is_pending(), true)?;
        let out = asked.load(Ordering::Relaxed) as u64;
        expect("outstanding", out, row.must("outstanding", Fields::u64)?)?;
    }
    config.end()
}

/// The first hangs, the second answers: what becomes of the first.
async fn loser(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    expect("max_hedges", config.must("max_hedges", Fields::u64)?, 1)?;
    let delay = config.must("delay_ms", Fields::ms)?;
    let (share, initial) = (0.5, 10);
    let budget = Budget::ratio(share).expect("a share").initial(initial);
    let mut handles = Vec::new();
    let candidates = [1u64, 2].map(|number| {
        let breaker = CircuitBreakerLayer::new(number.to_string());
        handles.push(breaker.handle());
        let service = ServiceBuilder::new()
            .layer(
                RetryLayer::new()
                    .attempts(NonZeroU32::MIN)
                    .budget(budget.clone()),
            )
            .layer(breaker)
            .service(service_fn(move |(): ()| async move {
                match number {
                    1 => std::future::pending().await,
                    number => Ok::<_, BoxError>(number),
                }
            }));
        Candidate::new(number.to_string(), BoxCloneSyncService::new(service))
    });
    let Ok(chain) = Chain::new(candidates) else {
        return failed("no chain");
    };
    let service = chain
        .classify(ErrorsAreTransient::new())
        .hedge(delay)
        .budget(budget.clone());
    let winner = service.oneshot(()).await;
    expect(
        "winner",
        winner.ok(),
        Some(row.must("winner", Fields::u64)?),
    )?;
    expect("loser", row.must("loser", Fields::str)?, "neutral")?;
    let counts = handles[0].counts();
    expect(
        "calls of the loser",
        (counts.calls, counts.consecutive_failures),
        (0, 0),
    )?;
    expect("its circuit", handles[0].state(), State::Closed)?;
    // What the hedge took, and what the call brought.
    let deposits = row.must("budget_deposits", Fields::u64)?;
    let balance = f64::from(initial) - 1.0 + share * deposits as f64;
    expect("balance", budget.balance(), balance)?;
    row.end()
}
