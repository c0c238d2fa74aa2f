//! A service that can't leave its thread, through the whole stack: no layer asks for `Send`.

#![cfg(test)]

use std::{cell::Cell, rc::Rc, time::Duration};

use backstop_circuit_breaker::CircuitBreakerLayer;
use backstop_core::BoxError;
use backstop_fallback::FallbackLayer;
use backstop_retry::RetryLayer;
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use tokio::task::LocalSet;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// Fails while there is bad luck left. Neither its request, its response nor its future is `Send`.
fn unlucky(
    luck: &Rc<Cell<u32>>,
) -> impl Service<Rc<str>, Response = Rc<str>, Error = BoxError> + Clone + use<> {
    let luck = luck.clone();
    service_fn(move |name: Rc<str>| {
        let luck = luck.clone();
        async move {
            tokio::task::yield_now().await;
            if luck.get() > 0 {
                luck.set(luck.get() - 1);
                return Err(BoxError::from("bad luck"));
            }
            Ok(Rc::from(format!("hello, {name}")))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_send_runs_on_a_local_set_through_all_five_layers() {
    let luck = Rc::new(Cell::new(4));
    let backup = ServiceBuilder::new()
        .layer(ServedByLayer::new("backup").beside())
        .layer(RetryLayer::new())
        .service(unlucky(&luck));
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(60)))
        .layer(FallbackLayer::new(backup))
        .layer(ServedByLayer::new("first").beside())
        .layer(RetryLayer::new())
        .layer(CircuitBreakerLayer::new("first"))
        .layer(TimeoutLayer::new().response(Duration::from_secs(10)))
        .service(unlucky(&luck));

    let local = LocalSet::new();
    let call = local.run_until(async move {
        tokio::task::spawn_local(async move { service.oneshot(Rc::from("Ada")).await.unwrap() })
            .await
            .unwrap()
    });
    let served = call.await;
    assert_eq!(&*served.response, "hello, Ada");
    assert_eq!(&*served.served_by.name, "backup");
    assert_eq!(served.served_by.trail.attempts().len(), 4);
}
