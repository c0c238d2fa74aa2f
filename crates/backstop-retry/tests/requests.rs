//! Requests that are sent again, or can't be.

use std::{cell::Cell, future::ready, num::NonZeroU32, rc::Rc, time::Duration};

use backstop_core::{BoxError, context};
use backstop_retry::{Jitter, RetryLayer};
use tower::{Layer, ServiceExt, retry, service_fn};

/// A request that counts its copies.
#[derive(Debug, Default)]
struct Counted {
    copies: Rc<Cell<u32>>,
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        let copies = self.copies.clone();
        copies.set(copies.get() + 1);
        Self { copies }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_cloned_before_each_attempt_but_the_last() {
    for attempts in 1..5 {
        let request = Counted::default();
        let copies = request.copies.clone();
        let service = service_fn(|_: Counted| ready(Err::<(), BoxError>("down".into())));
        let layer = RetryLayer::new().attempts(NonZeroU32::new(attempts).unwrap());
        assert!(layer.layer(service).oneshot(request).await.is_err());
        assert_eq!(copies.get(), attempts - 1);
    }
}

struct Unique(u32);

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_copied_is_sent_exactly_once_and_the_trail_says_so() {
    let calls = Cell::new(0);
    let service = service_fn(|_: Unique| {
        calls.set(calls.get() + 1);
        ready(Err::<(), BoxError>("down".into()))
    });
    let layer = RetryLayer::new().clone_request_fn(|_: &Unique| None);
    let call = layer.layer(service).oneshot(Unique(1));
    let (result, trail) = context::traced(call).await;
    assert_eq!(result.unwrap_err().to_string(), "down");
    assert_eq!(calls.get(), 1);
    assert_eq!(
        trail.to_string(),
        "failed, and the request could be sent only once after 0 ms"
    );
}

#[tokio::test(start_paused = true)]
async fn a_closure_makes_each_copy_as_it_likes() {
    let sent = Cell::new(Vec::new());
    let service = service_fn(|request: Unique| {
        let mut so_far = sent.take();
        so_far.push(request.0);
        sent.set(so_far);
        ready(Err::<(), BoxError>("down".into()))
    });
    let layer = RetryLayer::new().clone_request_fn(|request: &Unique| Some(Unique(request.0 + 1)));
    assert!(layer.layer(service).oneshot(Unique(1)).await.is_err());
    assert_eq!(sent.take(), [1, 2, 3]);
}

/// Tower's policy for the same attempts, without waits of its own.
#[derive(Clone)]
struct Thrice(u32);

impl retry::Policy<u32, u32, BoxError> for Thrice {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, _: &mut u32, result: &mut Result<u32, BoxError>) -> Option<Self::Future> {
        self.0 += 1;
        (result.is_err() && self.0 < 3).then(|| tokio::time::sleep(Duration::from_millis(50)))
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

#[tokio::test(start_paused = true)]
async fn makes_the_same_calls_as_towers_own_at_the_same_times() {
    for failures in 0..5 {
        let run = |use_tower: bool| async move {
            let log = Rc::new(Cell::new(Vec::new()));
            let start = tokio::time::Instant::now();
            let service = {
                let log = log.clone();
                service_fn(move |request: u32| {
                    let mut so_far: Vec<_> = log.take();
                    so_far.push((request, start.elapsed()));
                    let failed = so_far.len() <= failures;
                    log.set(so_far);
                    ready(match failed {
                        true => Err(BoxError::from("down")),
                        false => Ok(request + 1),
                    })
                })
            };
            let backoff = std::iter::repeat(Duration::from_millis(50));
            let layer = RetryLayer::new().backoff(backoff).jitter(Jitter::None);
            let result = if use_tower {
                retry::Retry::new(Thrice(0), service).oneshot(7).await
            } else {
                layer.layer(service).oneshot(7).await
            };
            (result.map_err(|error| error.to_string()), log.take())
        };
        assert_eq!(run(true).await, run(false).await, "{failures}");
    }
}
