//! What a retry leaves on the trail of a call.

use std::{future::ready, num::NonZeroU32, time::Duration};

use backstop_core::{BoxError, context};
use backstop_retry::RetryLayer;
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn twice() -> RetryLayer {
    RetryLayer::new().attempts(NonZeroU32::new(2).expect("not zero"))
}

#[tokio::test(start_paused = true)]
async fn two_that_are_asked_at_once_both_record_every_attempt() {
    let service = twice().layer(service_fn(|()| async {
        sleep(SECOND).await;
        Err::<(), BoxError>("down".into())
    }));
    let both = async { tokio::join!(service.clone().oneshot(()), service.clone().oneshot(())) };
    let ((one, two), trail) = context::traced(both).await;
    assert!(one.is_err() && two.is_err());
    let mut numbers: Vec<_> = trail.attempts().iter().map(|it| it.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_call_made_before_it_is_followed_has_every_attempt_followed() {
    let mut service = twice().layer(service_fn(|()| ready(Err::<(), BoxError>("down".into()))));
    let call = service.call(());
    let (result, trail) = context::traced(call).await;
    assert!(result.is_err());
    assert_eq!(trail.attempted(), 2);
}
