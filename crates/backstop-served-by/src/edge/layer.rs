use std::task::{Context, Poll};

use backstop_core::context::Scope;
use http::Response;
use tower_layer::Layer;
use tower_service::Service;

use super::EdgeFuture;

/// Writes into a response's headers who answered (`x-served-by`), whether that is a lesser answer
/// (`x-degraded`) and how old (`age`), what failed on the way (`proxy-status`), and how long each
/// attempt that failed took (`server-timing`).
///
/// It goes outside everything, and knows what failed even where a layer in between turned the
/// error into a response.
///
/// ```
/// use backstop_served_by::{EdgeLayer, ServedByLayer};
/// use http::{Request, Response};
/// use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(EdgeLayer::new())
///     .layer(ServedByLayer::new("replica"))
///     .service(service_fn(|_: Request<()>| async { Ok::<_, BoxError>(Response::new("hello")) }));
///
/// let response = service.oneshot(Request::new(())).await.unwrap();
/// assert_eq!(response.headers()["x-served-by"], "replica");
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EdgeLayer;

impl EdgeLayer {
    /// The layer, which has nothing to configure.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner }
    }
}

/// Writes into a response's headers who answered: the service of [`EdgeLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Edge<S> {
    inner: S,
}

impl<S, Request, B> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        EdgeFuture {
            inner: self.inner.call(request),
            scope: Scope::open(),
        }
    }
}
