//! An error type of one's own stays exhaustive through the whole stack.

#![cfg(test)]

use std::{fmt, time::Duration};

use backstop_circuit_breaker::CircuitBreakerLayer;
use backstop_core::{Elapsed, Exhausted, Fault, FaultKind, Open, Verdict, classify_fn};
use backstop_fallback::FallbackLayer;
use backstop_retry::RetryLayer;
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[derive(Debug)]
enum ShopError {
    Exhausted(Exhausted),
    NoSuchArticle,
    Open(Open),
    TimedOut(Elapsed),
    Warehouse(&'static str),
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted(error) => error.fmt(f),
            Self::NoSuchArticle => f.write_str("no such article"),
            Self::Open(error) => error.fmt(f),
            Self::TimedOut(error) => error.fmt(f),
            Self::Warehouse(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for ShopError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Exhausted(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Elapsed> for ShopError {
    fn from(error: Elapsed) -> Self {
        Self::TimedOut(error)
    }
}

impl From<Exhausted> for ShopError {
    fn from(error: Exhausted) -> Self {
        Self::Exhausted(error)
    }
}

impl From<Open> for ShopError {
    fn from(error: Open) -> Self {
        Self::Open(error)
    }
}

/// Without a wildcard: what the layers may answer with is all there is.
fn name_of(error: &ShopError) -> &'static str {
    match error {
        ShopError::Exhausted(_) => "exhausted",
        ShopError::NoSuchArticle => "no such article",
        ShopError::Open(_) => "open",
        ShopError::TimedOut(_) => "timed out",
        ShopError::Warehouse(_) => "warehouse",
    }
}

/// The whole stack over a shop that does as it is asked.
async fn order(what: &'static str, circuit_open: bool) -> ShopError {
    let classify = classify_fn(|result: Result<&_, &ShopError>| {
        let _: Result<&backstop_served_by::Served<u32>, _> = result;
        match result {
            Ok(_) => Verdict::Success,
            Err(ShopError::NoSuchArticle) => Fault::new(FaultKind::Invalid).into(),
            Err(_) => Fault::new(FaultKind::Unavailable).into(),
        }
    });
    let plain = classify_fn(|result: Result<&u32, &ShopError>| match result {
        Ok(_) => Verdict::Success,
        Err(ShopError::NoSuchArticle) => Fault::new(FaultKind::Invalid).into(),
        Err(_) => Fault::new(FaultKind::Unavailable).into(),
    });
    let shop = service_fn(|what: &'static str| async move {
        match what {
            "anything" => Err::<u32, _>(ShopError::Warehouse("closed")),
            "nothing" => Err(ShopError::NoSuchArticle),
            _ => std::future::pending().await,
        }
    });
    let breaker = CircuitBreakerLayer::new("shop");
    if circuit_open {
        breaker.handle().open_for(Duration::from_secs(60));
    }
    let backup = ServedByLayer::new("backup").beside();
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(1)))
        .layer(
            FallbackLayer::new(ServiceBuilder::new().layer(backup).service(shop))
                .classify(classify),
        )
        .layer(ServedByLayer::new("shop").beside())
        .layer(RetryLayer::new().classify(plain))
        .layer(breaker.classify(plain))
        .layer(TimeoutLayer::new().response(Duration::from_secs(10)))
        .service(shop);
    service
        .oneshot(what)
        .await
        .expect_err("the shop never delivers")
}

#[tokio::test(start_paused = true)]
async fn what_is_the_callers_own_comes_back_as_it_was() {
    assert_eq!(name_of(&order("nothing", false).await), "no such article");
}

#[tokio::test(start_paused = true)]
async fn what_every_candidate_failed_with_leads_to_the_last_error() {
    let error = order("anything", false).await;
    assert_eq!(name_of(&error), "exhausted");
    let ShopError::Exhausted(exhausted) = error else {
        unreachable!();
    };
    assert_eq!(
        exhausted.last::<ShopError>().map(name_of),
        Some("warehouse")
    );
}

#[tokio::test(start_paused = true)]
async fn a_variant_of_ones_own_for_an_open_circuit_is_not_taken_for_a_transient_error() {
    // A classifier that takes it for one is not asked: the breaker's own word counts.
    let error = order("anything", true).await;
    let ShopError::Exhausted(exhausted) = error else {
        panic!("{error}");
    };
    let first = &exhausted.trail().attempts()[0];
    assert_eq!(first.fault.kind(), FaultKind::Refused);
    assert_eq!(exhausted.trail().attempted(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_limit_on_the_whole_call_is_a_variant_like_the_others() {
    assert_eq!(name_of(&order("something", false).await), "timed out");
}
