//! The service.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{ContinueLayer, progress::may_continue, stream::Continued};
use crate::{ChatRequest, ChatResponse, ChatStream, Error};

/// A service whose streams are gone on with when they break off. See [`ContinueLayer`].
#[derive(Clone, Debug)]
pub struct Continue<S> {
    inner: S,
    config: ContinueLayer,
}

impl<S> Continue<S> {
    pub(super) const fn new(inner: S, config: ContinueLayer) -> Self {
        Self { inner, config }
    }

    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S> Service<ChatRequest> for Continue<S>
where
    S: Service<ChatRequest, Response = ChatResponse, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = ChatResponse;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<ChatResponse, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: ChatRequest) -> Self::Future {
        if !may_continue(&request) || self.config.times == 0 {
            return Box::pin(self.inner.call(request));
        }
        let (config, again) = (self.config, self.inner.clone());
        let call = self.inner.call(request.clone());
        Box::pin(async move {
            let response = call.await?;
            let served = response.served_by().cloned();
            Ok(response.map_stream(|stream| {
                ChatStream::new(Continued::new(stream, request, again, served, config))
            }))
        })
    }
}
