//! The layers of tower-resilience.

use tower::Layer;
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerConfigBuilder, CircuitBreakerLayer, DefaultClassifier,
};
use tower_resilience_fallback::FallbackLayer;
use tower_resilience_retry::{RetryBudgetBuilder, RetryLayer};
use tower_resilience_timelimiter::TimeLimiterLayer;

use crate::{
    bare::{Bare, Call, Down, Flaky, Up},
    clock::NEVER,
    row::{Answered, Row},
};

/// Its circuit breaker at its defaults, a count window of 100, but open for good.
pub(super) fn default_breaker() -> CircuitBreakerConfigBuilder {
    CircuitBreakerLayer::builder().wait_duration_in_open(NEVER)
}

/// Its circuit breaker opening at five failures in a row.
pub(super) fn consecutive_breaker() -> CircuitBreakerConfigBuilder {
    default_breaker().consecutive_failures(5)
}

pub(super) fn breaker<S>(
    builder: CircuitBreakerConfigBuilder,
    inner: S,
) -> CircuitBreaker<S, DefaultClassifier> {
    builder
        .build()
        .expect("the builder's defaults are valid")
        .layer(inner)
}

pub(super) fn rows() -> Vec<Row> {
    let up = Bare::<u64, Up, Down>::new(Up);
    let flaky = Bare::<u64, Flaky, Down>::new(Flaky::new());
    let down = Bare::<u64, Down, Down>::new(Down);
    let retry = RetryLayer::<Call, u64, Down>::builder().max_attempts(3);
    let budget = RetryBudgetBuilder::new()
        .token_bucket()
        .build()
        .expect("the builder's defaults are valid");
    let fallback = FallbackLayer::<Call, u64, Down>::value(0);
    vec![
        Row::new(
            "tower-resilience timelimiter",
            TimeLimiterLayer::builder()
                .timeout_duration(NEVER)
                .build()
                .layer(up.clone()),
        ),
        Row::new("tower-resilience retry", retry.build().layer(up.clone())),
        Row::new(
            "tower-resilience retry + budget",
            RetryLayer::<Call, u64, Down>::builder()
                .max_attempts(3)
                .budget(budget)
                .build()
                .layer(up.clone()),
        ),
        Row::new(
            "tower-resilience circuitbreaker, consecutive",
            breaker(consecutive_breaker(), up.clone()),
        )
        .rejected(
            10,
            Answered::None,
            breaker(consecutive_breaker(), down.clone()),
        )
        .failing(Answered::Half, breaker(consecutive_breaker(), flaky)),
        Row::new(
            "tower-resilience circuitbreaker, default",
            breaker(default_breaker(), up.clone()),
        )
        .rejected(
            200,
            Answered::None,
            breaker(default_breaker(), down.clone()),
        ),
        Row::new("tower-resilience fallback", fallback.layer(up))
            .failing(Answered::All, fallback.layer(down)),
    ]
}
