//! A limit on the whole call tells what had been tried, whichever layer is inside it.

use std::{cell::Cell, time::Duration};

use backstop_core::{BoxError, Elapsed};
use backstop_fallback::{Candidate, Chain, FallbackLayer};
use backstop_retry::RetryLayer;
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// Fails at its first call after a while, and then hangs.
fn once_down() -> impl Service<(), Response = u8, Error = BoxError, Future: Sized> + Clone {
    let calls = std::rc::Rc::new(Cell::new(0));
    service_fn(move |()| {
        calls.set(calls.get() + 1);
        let call = calls.get();
        async move {
            sleep(SECOND).await;
            if call > 1 {
                std::future::pending::<()>().await;
            }
            Err::<u8, BoxError>("down".into())
        }
    })
}

/// How many attempts are told of when the time is up over `service`.
async fn tried<S>(service: S) -> usize
where
    S: Service<(), Error = BoxError>,
    S::Response: std::fmt::Debug,
{
    let service = TimeoutLayer::new().total(60 * SECOND).layer(service);
    let error = service.oneshot(()).await.expect_err("no time");
    let elapsed: &Elapsed = error.downcast_ref().expect("an Elapsed");
    elapsed.trail().attempts().len()
}

#[tokio::test(start_paused = true)]
async fn over_any_layer_that_keeps_a_trail() {
    let service = once_down();
    assert_eq!(tried(RetryLayer::new().layer(service)).await, 1);

    let service = once_down();
    let fallback = FallbackLayer::new(service.clone());
    assert_eq!(tried(fallback.layer(service)).await, 1);

    let service = once_down();
    let chain = || {
        let service = once_down();
        Chain::new([
            Candidate::new("a", service.clone()),
            Candidate::new("b", service),
        ])
        .expect("two names")
    };
    assert_eq!(tried(chain()).await, 1);
    assert_eq!(tried(chain().hedge(SECOND / 2)).await, 1);

    let named = ServedByLayer::new("one").beside();
    assert_eq!(
        tried(named.layer(RetryLayer::new().layer(service))).await,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn over_another_limit_that_runs_out_with_it() {
    let service = RetryLayer::new().layer(once_down());
    let inner = TimeoutLayer::new().total(60 * SECOND).layer(service);
    assert_eq!(tried(inner).await, 1);
}

#[tokio::test(start_paused = true)]
async fn never_of_what_another_call_had_tried() {
    let service = RetryLayer::new().layer(once_down());
    let timeout = TimeoutLayer::new().total(10 * SECOND);
    assert!(timeout.layer(service.clone()).oneshot(()).await.is_err());
    // A call that is dropped with something on its trail, and nobody to tell it to.
    let dropped = RetryLayer::new().layer(once_down());
    assert!(
        tokio::time::timeout(5 * SECOND, dropped.oneshot(()))
            .await
            .is_err()
    );
    // Hangs at its first attempt.
    assert_eq!(tried(service).await, 0);
    assert_eq!(
        tried(service_fn(
            |()| std::future::pending::<Result<(), BoxError>>()
        ))
        .await,
        0
    );
}
