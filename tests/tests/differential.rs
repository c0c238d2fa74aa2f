//! The layers beside tower's own, where tower's are right.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use backstop_retry::RetryLayer;
use backstop_timeout::{Elapsed, TimeoutLayer};
use tokio::time::{Instant, sleep};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A service that takes as long as it is told to.
fn takes() -> impl Service<Duration, Response = Duration, Error = BoxError, Future: Send> + Clone {
    service_fn(|delay: Duration| async move {
        if !delay.is_zero() {
            sleep(delay).await;
        }
        Ok(delay)
    })
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_the_response_fires_when_that_of_tower_does() {
    for limit in (1..8).map(ms) {
        for delay in (0..10).map(ms) {
            let start = Instant::now();
            let theirs = ServiceBuilder::new()
                .layer(tower::timeout::TimeoutLayer::new(limit))
                .service(takes())
                .oneshot(delay)
                .await;
            let their_time = start.elapsed();

            let start = Instant::now();
            let ours = ServiceBuilder::new()
                .layer(TimeoutLayer::new().response(limit))
                .service(takes())
                .oneshot(delay)
                .await;

            assert_eq!(start.elapsed(), their_time, "{delay:?} within {limit:?}");
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
                (Err(ours), Err(theirs)) => {
                    assert!(theirs.is::<tower::timeout::error::Elapsed>());
                    assert_eq!(ours.downcast_ref::<Elapsed>().unwrap().after(), limit);
                }
                (ours, theirs) => panic!("{delay:?} within {limit:?}: {ours:?}, {theirs:?}"),
            }
        }
    }
}

/// Tries again until so many attempts have been made, at once.
#[derive(Clone)]
struct Attempts(u32);

impl<Res> tower::retry::Policy<u32, Res, BoxError> for Attempts {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut u32, result: &mut Result<Res, BoxError>) -> Option<Self::Future> {
        if result.is_ok() || self.0 <= 1 {
            return None;
        }
        self.0 -= 1;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_makes_as_many_attempts_as_that_of_tower() {
    for attempts in 1..6 {
        for failures in 0..8 {
            let upstream = || {
                let calls = Arc::new(AtomicU32::new(0));
                let counter = calls.clone();
                let service = service_fn(move |request: u32| {
                    let call = counter.fetch_add(1, Ordering::Relaxed);
                    std::future::ready(match call < failures {
                        true => Err(BoxError::from(format!("failure {call}"))),
                        false => Ok(request),
                    })
                });
                (service, calls)
            };
            let (service, their_calls) = upstream();
            let theirs = ServiceBuilder::new()
                .layer(tower::retry::RetryLayer::new(Attempts(attempts)))
                .service(service)
                .oneshot(7)
                .await;
            let (service, our_calls) = upstream();
            let ours = ServiceBuilder::new()
                .layer(RetryLayer::new().attempts(NonZeroU32::new(attempts).unwrap()))
                .service(service)
                .oneshot(7)
                .await;

            let place = format!("{failures} failures, {attempts} attempts");
            let calls = [our_calls, their_calls].map(|calls| calls.load(Ordering::Relaxed));
            assert_eq!(calls[0], calls[1], "{place}");
            let [ours, theirs] = [ours, theirs].map(|it| it.map_err(|error| error.to_string()));
            assert_eq!(ours, theirs, "{place}");
        }
    }
}
