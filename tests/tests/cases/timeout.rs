//! Limits of time, on a paused clock.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{BoxError, Elapsed, Limit};
use backstop_timeout::TimeoutLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, differing, expect, failed, unknown},
    words::numbers,
};

const LATE: &str = "a response that has come is handed on, however late: the timeout's README says \
                    so; nothing is lost that was paid for, and nothing flags it";

pub(crate) fn replay(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    for row in &case.rows {
        let row = Fields::of(row);
        if row.get("headers_ms").is_some() {
            crate::paused(stalls(&config, &row))?;
        } else {
            differing(LATE, late(&config, &row))?;
        }
        row.end()?;
    }
    config.end()
}

/// A body that stalls, or goes on for ever.
async fn stalls(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let headers = row.must("headers_ms", Fields::ms)?;
    let body = row.must("body", Fields::str)?;
    let (words, numbers) = numbers(body);
    let between = match (words.as_str(), numbers.as_slice()) {
        ("one chunk then silence", []) => None,
        ("# byte every # ms for ever", &[1, between]) => Some(Duration::from_millis(between)),
        _ => return unknown(format!("body {body:?}")),
    };
    let layer = TimeoutLayer::new()
        .until_end()
        .first_item(config.must("first_byte_ms", Fields::ms)?)
        .idle(config.must("idle_ms", Fields::ms)?)
        .total(config.must("total_ms", Fields::ms)?);
    let service =
        ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(move |_: Request<()>| async move {
                sleep(headers).await;
                Ok::<_, BoxError>(Response::new(Drip::new(between)))
            }));

    let start = Instant::now();
    let response = service.oneshot(Request::new(())).await;
    let Ok(response) = response else {
        return failed("the response itself failed");
    };
    let error = response.into_body().collect().await;
    let Err(error) = error else {
        return failed("the body came to an end");
    };
    expect(
        "fails_at_ms",
        start.elapsed(),
        row.must("fails_at_ms", Fields::ms)?,
    )?;
    let limit = error.downcast_ref().map(Elapsed::limit);
    let want = match row.must("error", Fields::str)? {
        "timeout(idle)" => Limit::Idle,
        "timeout(total)" => Limit::Total,
        error => return unknown(format!("error {error:?}")),
    };
    expect("error", limit, Some(want))
}

/// Work that blocks the thread beyond the limit and is then ready in the same poll: a response
/// that has come wins with us.
fn late(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let limit = config.must("timeout_ms", Fields::ms)?;
    let blocks = config.must("work_blocks_ms", Fields::ms)?;
    match row.must("result", Fields::str)? {
        "ok but flagged late (or timeout), consistently documented" => {}
        result => return unknown(format!("result {result:?}")),
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let outcome = runtime.expect("a runtime").block_on(async {
        let service = ServiceBuilder::new()
            .layer(TimeoutLayer::new().response(limit))
            .service(service_fn(move |_: ()| async move {
                let start = Instant::now();
                while start.elapsed() < blocks {}
                Ok::<_, BoxError>(())
            }));
        backstop_core::context::traced(service.oneshot(())).await
    });
    let (result, trail) = outcome;
    if result.is_ok() && trail.is_empty() {
        return failed("the late response was accepted, and nothing flags it");
    }
    Ok(())
}

/// A body of one byte at a time: one and then silence, or one again and again.
struct Drip {
    between: Option<Duration>,
    next: Option<Pin<Box<Sleep>>>,
}

impl Drip {
    fn new(between: Option<Duration>) -> Self {
        Self {
            between,
            next: Some(Box::pin(sleep(Duration::ZERO))),
        }
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(next) = &mut self.next else {
            return Poll::Pending;
        };
        std::task::ready!(next.as_mut().poll(cx));
        self.next = self.between.map(|between| Box::pin(sleep(between)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))))
    }
}
