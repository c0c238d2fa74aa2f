//! The layers beside tower's own, where tower's are right.

use std::time::Duration;

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
