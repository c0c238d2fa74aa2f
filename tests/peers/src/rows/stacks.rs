//! The peers' layers on top of each other, in the order of the recommended stack: timeout over
//! fallback over retry over circuit breaker.

use tower::{Layer, retry::Retry, timeout::Timeout};
use tower_fallback::Fallback;
use tower_resilience_circuitbreaker::CircuitBreakerError;
use tower_resilience_fallback::FallbackLayer;
use tower_resilience_retry::RetryLayer;
use tower_resilience_timelimiter::TimeLimiterLayer;

use super::{
    others::failsafe,
    resilience::{breaker, default_breaker},
    tower::AtOnce,
};
use crate::{
    bare::{Bare, Call, Down, Up},
    clock::NEVER,
    row::{Answered, Row},
};

/// The best of what exists, each from where it is best.
macro_rules! best {
    ($inner:expr) => {
        Timeout::new(
            Fallback::new(
                Retry::new(AtOnce(2), failsafe($inner)),
                Bare::<u64, Up, Down>::new(Up),
            ),
            NEVER,
        )
    };
}

/// All of tower-resilience, at its defaults.
macro_rules! resilience {
    ($inner:expr) => {{
        let limit = TimeLimiterLayer::builder().timeout_duration(NEVER).build();
        let fallback = FallbackLayer::<Call, u64, CircuitBreakerError<Down>>::value(0);
        let retry = RetryLayer::<Call, u64, CircuitBreakerError<Down>>::builder()
            .max_attempts(3)
            .build();
        limit.layer(fallback.layer(retry.layer(breaker(default_breaker(), $inner))))
    }};
}

pub(super) fn rows() -> Vec<Row> {
    let up = Bare::<u64, Up, Down>::new(Up);
    let down = Bare::<u64, Down, Down>::new(Down);
    vec![
        Row::new("stack: best of existing", best!(up.clone())).rejected(
            10,
            Answered::All,
            best!(down),
        ),
        Row::new("stack: tower-resilience", resilience!(up)),
    ]
}
