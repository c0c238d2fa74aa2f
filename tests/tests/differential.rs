//! A stack of ours beside one of tower's own, where tower's are right. Each layer for itself is
//! held against tower's in its own crate.

#![cfg(test)]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use backstop_retry::{Jitter, RetryLayer};
use backstop_timeout::TimeoutLayer;
use tokio::time::{Instant, Sleep, sleep};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const ATTEMPTS: u32 = 4;
const WAIT: Duration = ms(10);

/// Tries again after a wait until so many attempts have been made.
#[derive(Clone)]
struct Attempts(u32);

impl<Res> tower::retry::Policy<(), Res, BoxError> for Attempts {
    type Future = Sleep;

    fn retry(&mut self, (): &mut (), result: &mut Result<Res, BoxError>) -> Option<Sleep> {
        if result.is_ok() || self.0 <= 1 {
            return None;
        }
        self.0 -= 1;
        Some(sleep(WAIT))
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

/// Fails so often, each time after so long, and then answers.
fn upstream(
    failures: u32,
    takes: Duration,
    calls: &Arc<AtomicU32>,
) -> impl Service<(), Response = u32, Error = BoxError, Future: Send> + Clone + use<> {
    let calls = calls.clone();
    service_fn(move |(): ()| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        async move {
            sleep(takes).await;
            match call < failures {
                true => Err(format!("failure {call}").into()),
                false => Ok(call),
            }
        }
    })
}

/// What came of a call, after how long, and how many attempts it took.
async fn outcome<S>(service: S, calls: &AtomicU32) -> (Result<u32, String>, Duration, u32)
where
    S: Service<(), Response = u32, Error = BoxError>,
{
    let start = Instant::now();
    let result = service.oneshot(()).await.map_err(|error| error.to_string());
    (result, start.elapsed(), calls.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_limit_over_a_retry_does_what_those_of_tower_do() {
    let mut cut = 0;
    for limit in [5, 25, 55, 200].map(ms) {
        for takes in [1, 5, 20].map(ms) {
            for failures in 0..6 {
                let calls = Arc::default();
                let theirs = ServiceBuilder::new()
                    .layer(tower::timeout::TimeoutLayer::new(limit))
                    .layer(tower::retry::RetryLayer::new(Attempts(ATTEMPTS)))
                    .service(upstream(failures, takes, &calls));
                let theirs = outcome(theirs, &calls).await;

                let calls = Arc::default();
                let ours = ServiceBuilder::new()
                    .layer(TimeoutLayer::new().total(limit))
                    .layer(
                        RetryLayer::new()
                            .attempts(NonZeroU32::new(ATTEMPTS).unwrap())
                            .jitter(Jitter::None)
                            .backoff(std::iter::repeat(WAIT))
                            .min_useful(Duration::ZERO),
                    )
                    .service(upstream(failures, takes, &calls));
                let ours = outcome(ours, &calls).await;

                let place = format!("{failures} failures of {takes:?}, limit {limit:?}");
                if theirs.0 == Err("request timed out".to_owned()) {
                    // Ours does not wait for an attempt that it has no time for, so it may be done
                    // sooner; it makes the same attempts.
                    assert!(ours.0.is_err() && ours.1 <= theirs.1, "{place}: {ours:?}");
                    assert_eq!(ours.2, theirs.2, "{place}");
                    cut += 1;
                } else {
                    assert_eq!(ours, theirs, "{place}");
                }
            }
        }
    }
    assert!(cut > 5, "the limits were never reached");
}
