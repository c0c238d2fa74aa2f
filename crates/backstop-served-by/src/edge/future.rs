use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{
    ServedBy,
    context::{self, Scope},
};
use http::Response;
use pin_project_lite::pin_project;

use super::{write, write_trail};

pin_project! {
    /// The future of [`Edge`](super::Edge).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct EdgeFuture<F> {
        #[pin]
        pub(super) inner: F,
        pub(super) scope: Scope,
    }
}

impl<F, B, E> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _trail = this.scope.enter();
        let mut response = ready!(this.inner.poll(cx))?;
        let trail = context::trail();
        // The stamp stays where it is, for whoever is further out.
        match response.extensions().get::<ServedBy>().cloned() {
            Some(mut stamp) => {
                if stamp.trail.attempts().len() < trail.attempts().len() {
                    stamp.trail = trail;
                }
                write(response.headers_mut(), &stamp);
            }
            None => write_trail(response.headers_mut(), &trail),
        }
        Poll::Ready(Ok(response))
    }
}
