//! Our own layers.

use std::{iter, num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::{CircuitBreakerService, Policy};
use backstop_core::{Budget, FaultKinds, ServedBy, Stamp};
use backstop_fallback::FallbackLayer;
use backstop_retry::RetryLayer;
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use tower_layer::Layer;

use crate::{
    bare::{Answer, Bare, Call, Down, Flaky, Up},
    clock::NEVER,
    error::Error,
    row::{Answered, Row},
};

/// A response with a place for the stamp.
pub(super) struct Reply {
    #[expect(dead_code, reason = "nobody reads the answer")]
    answer: u64,
    served_by: Option<ServedBy>,
}

impl Answer for Reply {
    fn answer(call: Call) -> Self {
        Self {
            answer: u64::answer(call),
            served_by: None,
        }
    }
}

impl Stamp for Reply {
    fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_ref()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.served_by.as_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.served_by = Some(stamp);
    }
}

/// The rules that need no clock.
pub(super) fn consecutive() -> Policy {
    Policy::new().without_failure_rate()
}

/// Our circuit breaker, by these rules.
pub(super) fn breaker<S>(policy: Policy, inner: S) -> CircuitBreakerService<S> {
    Layer::layer(&policy.layer("primary"), inner)
}

/// The same rules, but so that they don't trip: what a failure costs can then be counted.
fn lenient(policy: Policy) -> Policy {
    policy
        .consecutive(NonZeroU32::MAX)
        .min_calls(NonZeroU32::MAX)
}

/// The recommended stack round one candidate, and a backup: timeout over fallback over served-by
/// over retry over circuit breaker, and maybe a limit on each attempt.
macro_rules! stack {
    ($retry:expr, $policy:expr, $inner:expr) => {{
        let backup = ServedByLayer::new("backup").layer(Bare::<Reply, Up, Error>::new(Up));
        TimeoutLayer::new().total(NEVER).layer(
            FallbackLayer::new(backup)
                .layer(ServedByLayer::new("primary").layer($retry.layer(breaker($policy, $inner)))),
        )
    }};
}

pub(super) fn rows() -> Vec<Row> {
    let up = Bare::<u64, Up, Error>::new(Up);
    let down = Bare::<u64, Down, Error>::new(Down);
    let flaky = Bare::<u64, Flaky, Error>::new(Flaky::new());
    let timeout = TimeoutLayer::new().total(NEVER);
    let retry = RetryLayer::new();
    // As its peers do: a wait would be measured instead of the layer.
    let at_once = retry.clone().backoff(iter::repeat(Duration::ZERO));
    let budget = Budget::ratio(0.2).expect("a fifth is a share");
    let plenty = Budget::ratio(1.0).expect("all is a share");
    let fallback = FallbackLayer::new(up.clone());
    let served_by = ServedByLayer::new("primary");
    let default = Policy::new();
    vec![
        Row::new("backstop timeout", timeout.layer(up.clone()))
            .failing(Answered::None, timeout.layer(down.clone())),
        Row::new("backstop retry", retry.layer(up.clone()))
            .failing(Answered::All, at_once.layer(flaky.clone())),
        Row::new(
            "backstop retry + budget",
            retry.budget(budget).layer(up.clone()),
        )
        .failing(Answered::All, at_once.budget(plenty).layer(flaky.clone())),
        Row::new(
            "backstop circuit breaker, consecutive",
            breaker(consecutive(), up.clone()),
        )
        .rejected(10, Answered::None, breaker(consecutive(), down.clone()))
        .failing(
            Answered::Half,
            breaker(lenient(consecutive()), flaky.clone()),
        ),
        Row::new(
            "backstop circuit breaker, default",
            breaker(default, up.clone()),
        )
        .rejected(10, Answered::None, breaker(default, down.clone()))
        .failing(Answered::Half, breaker(lenient(default), flaky)),
        Row::worn(
            "backstop circuit breaker, default, after 1 M calls",
            1_000_000,
            breaker(default, up.clone()),
        ),
        Row::new("backstop fallback", fallback.layer(up))
            .failing(Answered::All, fallback.layer(down)),
        Row::new(
            "backstop served-by, typed",
            served_by.layer(Bare::<Reply, Up, Error>::new(Up)),
        ),
        Row::new(
            "backstop served-by, http",
            served_by.layer(Bare::<http::Response<u64>, Up, Error>::new(Up)),
        ),
    ]
}

/// The recommended stack, over a response with a place for the stamp.
pub(super) fn stacks() -> Vec<Row> {
    let up = Bare::<Reply, Up, Error>::new(Up);
    let down = Bare::<Reply, Down, Error>::new(Down);
    let attempt = TimeoutLayer::new().response(NEVER);
    let default = Policy::new();
    // A retry that waits for nothing but judges all the same.
    let judging = RetryLayer::new().on(FaultKinds::NONE);
    vec![
        Row::new(
            "stack: backstop",
            stack!(RetryLayer::new(), default, up.clone()),
        )
        .rejected(
            10,
            Answered::All,
            stack!(judging.clone(), default, down.clone()),
        )
        .failing(Answered::All, stack!(judging, lenient(default), down)),
        Row::new(
            "stack: backstop, each attempt limited",
            stack!(RetryLayer::new(), default, attempt.layer(up)),
        ),
    ]
}
