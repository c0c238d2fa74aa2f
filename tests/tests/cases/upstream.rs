//! A service that answers from a script, and notes when it was asked.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::BoxError;
use http::Response;
use tokio::time::Instant;
use tower::Service;

/// Answers with one response after the other, and with the last one from then on.
#[derive(Clone)]
pub(crate) struct Upstream {
    script: Arc<[Answer]>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

/// A status, and headers.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>);

impl Upstream {
    pub(crate) fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            script: script.into_iter().collect(),
            asked: Arc::default(),
        }
    }

    /// Always the same status.
    pub(crate) fn always(status: u16) -> Self {
        Self::new([(status, Vec::new())])
    }

    /// How often it was asked.
    pub(crate) fn calls(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }

    /// How long after one attempt the next one came.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        let asked = self.asked.lock().expect("no panic");
        asked.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

impl Service<()> for Upstream {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let mut asked = self.asked.lock().expect("no panic");
        let (status, headers) = &self.script[asked.len().min(self.script.len() - 1)];
        asked.push(Instant::now());
        let mut response = Response::builder().status(*status);
        for (name, value) in headers {
            response = response.header(*name, value);
        }
        ready(response.body(()).map_err(Into::into))
    }
}
