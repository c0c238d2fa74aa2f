//! A stack of layers over a service that cannot fail.

use std::{convert::Infallible, future::poll_fn, task::Poll};

use backstop_core::{AbsorbLayer, BoxError, context};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, layer::util::Identity, service_fn};

#[tokio::test]
async fn turns_the_errors_of_the_layers_into_responses() {
    let failing = tower::util::MapResultLayer::new(|_: Result<&str, BoxError>| {
        Err::<&str, BoxError>("no budget".into())
    });
    let service = ServiceBuilder::new()
        .layer(AbsorbLayer::new(failing, |error: BoxError| {
            if error.to_string() == "no budget" {
                "503"
            } else {
                "500"
            }
        }))
        .service(service_fn(|()| async { Ok::<_, Infallible>("200") }));
    assert_eq!(service.oneshot(()).await, Ok("503"));
}

#[tokio::test]
async fn passes_responses_through() {
    let service = AbsorbLayer::new(Identity::new(), |_: BoxError| "500")
        .layer(service_fn(|()| async { Ok::<_, Infallible>("200") }));
    assert_eq!(service.oneshot(()).await, Ok("200"));
}

/// A layer whose service is never ready again after its first error.
#[derive(Clone)]
struct Unready;

impl<S> Layer<S> for Unready {
    type Service = Self;
    fn layer(&self, _: S) -> Self {
        self.clone()
    }
}

impl Service<()> for Unready {
    type Response = &'static str;
    type Error = BoxError;
    type Future = std::future::Ready<Result<&'static str, BoxError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Err("gone".into()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        panic!("called although it was not ready");
    }
}

#[tokio::test]
async fn a_readiness_error_is_kept_for_the_next_call() {
    let mut service = AbsorbLayer::new(Unready, |error: BoxError| {
        if error.to_string() == "gone" {
            "503"
        } else {
            "500"
        }
    })
    .layer(service_fn(|()| async { Ok::<_, Infallible>("200") }));
    assert_eq!(poll_fn(|cx| service.poll_ready(cx)).await, Ok(()));
    assert_eq!(service.call(()).await, Ok("503"));
    assert_eq!(context::fault(), None);
}
