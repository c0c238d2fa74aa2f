//! Bodies that are sent again.

#![cfg(feature = "http")]

use std::{
    cell::Cell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use backstop_core::{BoxError, HttpStatus, context};
use backstop_retry::{NotWhole, Replay, ReplayBody, RetryLayer};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt, service_fn};

/// A body that brings what it is given, when it is given it.
#[derive(Clone, Default)]
struct Fed(Rc<Feed>);

/// The next frame, an error, or the end.
type Next = Option<Result<Frame<Bytes>, BoxError>>;

#[derive(Default)]
struct Feed {
    frames: Cell<VecDeque<Next>>,
    read: Cell<usize>,
    waker: Cell<Option<Waker>>,
}

impl Fed {
    fn feed(&self, frame: Next) {
        let mut frames = self.0.frames.take();
        frames.push_back(frame);
        self.0.frames.set(frames);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }

    fn data(&self, data: &'static str) {
        self.feed(Some(Ok(Frame::data(data.into()))));
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        let mut frames = self.0.frames.take();
        let next = frames.pop_front();
        self.0.frames.set(frames);
        match next {
            Some(frame) => {
                self.0.read.set(self.0.read.get() + 1);
                Poll::Ready(frame)
            }
            None => {
                self.0.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

async fn text<B>(body: ReplayBody<B>) -> Result<String, BoxError>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    let bytes = body.collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn every_clone_begins_at_the_beginning() {
    let body = ReplayBody::new(Full::<Bytes>::from("hello"));
    let spare = body.clone();
    assert_eq!(text(body).await.unwrap(), "hello");
    let another = spare.clone();
    assert_eq!(text(spare).await.unwrap(), "hello");
    assert_eq!(text(another).await.unwrap(), "hello");
}

#[tokio::test]
async fn the_body_is_read_only_as_far_as_it_is_asked_for_and_no_frame_twice() {
    let fed = Fed::default();
    fed.data("one ");
    fed.data("two");
    let mut body = ReplayBody::new(fed.clone());
    let mut spare = body.clone();
    assert_eq!(fed.0.read.get(), 0);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "one ");
    assert_eq!(fed.0.read.get(), 1);
    let frame = spare.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "one ");
    assert_eq!(fed.0.read.get(), 1);
    // The second clone goes on where the first one was dropped.
    drop(body);
    fed.feed(None);
    let rest = text(spare).await.unwrap();
    assert_eq!(rest, "two");
    assert_eq!(fed.0.read.get(), 3);
}

#[tokio::test]
async fn trailers_are_sent_again_too() {
    let fed = Fed::default();
    fed.data("x");
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", HeaderValue::from_static("7"));
    fed.feed(Some(Ok(Frame::trailers(trailers.clone()))));
    fed.feed(None);
    let body = ReplayBody::new(fed);
    for body in [body.clone(), body] {
        let collected = body.collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
    }
}

#[tokio::test]
async fn frames_without_a_byte_are_not_kept_as_no_limit_would_hold_for_them() {
    let fed = Fed::default();
    for data in ["", "", "x", ""] {
        fed.data(data);
    }
    fed.feed(None);
    let body = ReplayBody::with_limit(fed, 1);
    let spare = body.clone();
    let mut frames = Vec::new();
    for mut body in [body, spare] {
        let mut sizes = Vec::new();
        while let Some(frame) = body.frame().await {
            sizes.push(frame.unwrap().into_data().unwrap().len());
        }
        frames.push(sizes);
    }
    assert_eq!(frames, [vec![0, 0, 1, 0], vec![1]]);
}

#[tokio::test]
async fn clones_polled_together_all_get_everything_and_all_are_woken() {
    let fed = Fed::default();
    let first = ReplayBody::new(fed.clone());
    let mut tasks = [first.clone(), first.clone(), first].map(|body| task::spawn(text(body)));
    for task in &mut tasks {
        assert_pending!(task.poll());
    }
    fed.data("hello");
    fed.feed(None);
    // The body woke the last that asked, which wakes the others in turn.
    for i in [2, 0, 1] {
        assert!(tasks[i].is_woken(), "{i}");
        match tasks[i].poll() {
            Poll::Ready(text) => assert_eq!(text.unwrap(), "hello"),
            Poll::Pending => panic!("the body is at its end"),
        }
    }
}

#[tokio::test]
async fn a_clone_that_is_dropped_hands_its_turn_on() {
    let fed = Fed::default();
    let body = ReplayBody::new(fed.clone());
    let mut left = task::spawn(text(body.clone()));
    let mut gone = task::spawn(text(body));
    assert_pending!(left.poll());
    assert_pending!(gone.poll());
    drop(gone);
    assert!(left.is_woken());
    assert_pending!(left.poll());
    fed.data("x");
    assert!(left.is_woken());
}

#[tokio::test]
async fn a_body_that_turns_out_overlong_goes_on_with_the_clone_that_is_ahead() {
    let fed = Fed::default();
    fed.data("1234");
    fed.data("56");
    fed.data("7");
    fed.feed(None);
    let body = ReplayBody::with_limit(fed, 5);
    let spare = body.clone();
    let late = body.clone();
    assert!(spare.is_whole());
    assert_eq!(text(body).await.unwrap(), "1234567");
    assert!(!spare.is_whole());
    assert!(!spare.is_end_stream());
    let error = text(spare).await.unwrap_err();
    assert!(error.is::<NotWhole>());
    assert_eq!(
        error.to_string(),
        "the request body can't be sent again: it is longer than what is kept of it"
    );
    assert_eq!(late.size_hint().upper(), None);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_kept() {
    let body = ReplayBody::with_limit(Full::<Bytes>::from("12345"), 5);
    let spare = body.clone();
    assert_eq!(text(body).await.unwrap(), "12345");
    assert_eq!(text(spare).await.unwrap(), "12345");
}

#[tokio::test]
async fn a_body_known_to_be_overlong_is_passed_on_and_not_kept() {
    let body = ReplayBody::with_limit(Full::<Bytes>::from("123456"), 5);
    assert!(!body.is_whole());
    assert_eq!(body.size_hint().exact(), Some(6));
    assert!(text(body.clone()).await.is_err());
    assert_eq!(text(body).await.unwrap(), "123456");
    assert_eq!(ReplayBody::<Full<Bytes>>::LIMIT, 65_536);
}

#[tokio::test]
async fn a_body_that_breaks_off_brings_its_error_once_and_cannot_be_sent_again() {
    let fed = Fed::default();
    fed.data("x");
    fed.feed(Some(Err("reset".into())));
    let body = ReplayBody::new(fed);
    let spare = body.clone();
    assert_eq!(text(body).await.unwrap_err().to_string(), "reset");
    assert!(!spare.is_whole());
    let error = text(spare).await.unwrap_err().to_string();
    assert!(error.ends_with("it broke off when it was first sent"));
}

#[tokio::test]
async fn the_size_and_the_end_are_known_whenever_those_of_the_body_are() {
    let mut body = ReplayBody::new(Full::<Bytes>::from("hello"));
    let spare = body.clone();
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream());
    body.frame().await.unwrap().unwrap();
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(body.is_end_stream());
    assert_eq!(spare.size_hint().exact(), Some(5));
    assert!(!spare.is_end_stream());
    assert!(body.frame().await.is_none());
    assert_eq!(spare.size_hint().exact(), Some(5));
    assert!(ReplayBody::new(Empty::<Bytes>::new()).is_end_stream());
}

struct Bounded;

impl Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Next> {
        Poll::Ready(Some(Ok(Frame::data("abc".into()))))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(2);
        hint.set_upper(u64::MAX);
        hint
    }
}

#[tokio::test]
async fn a_size_that_is_a_range_stays_one() {
    let mut body = ReplayBody::new(Bounded);
    body.frame().await.unwrap().unwrap();
    let hint = body.clone().size_hint();
    assert_eq!((hint.lower(), hint.upper()), (5, Some(u64::MAX)));
}

/// Reads what is sent, answers 503, and tells what it got.
async fn send(body: Full<Bytes>, limit: usize) -> (Vec<usize>, String) {
    let got = Cell::new(Vec::new());
    let service = service_fn(|request: Request<ReplayBody<Full<Bytes>>>| async {
        let size = request.into_body().collect().await?.to_bytes().len();
        let mut so_far = got.take();
        so_far.push(size);
        got.set(so_far);
        let mut response = Response::new(());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        Ok::<_, BoxError>(response)
    });
    let layer = RetryLayer::new()
        .classify(HttpStatus::new())
        .clone_request(Replay::new());
    let request = Request::new(ReplayBody::with_limit(body, limit));
    let (result, trail) = context::traced(layer.layer(service).oneshot(request)).await;
    assert_eq!(result.expect("a response").status(), 503);
    (got.take(), trail.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_body_is_tried_again_whole() {
    let (got, _) = send("hello".into(), 5).await;
    assert_eq!(got, [5, 5, 5]);
}

#[tokio::test(start_paused = true)]
async fn an_overlong_body_is_sent_once_and_the_trail_says_so() {
    let (got, trail) = send("hello!".into(), 5).await;
    assert_eq!(got, [6]);
    assert!(trail.starts_with("503 failed, and the request could be sent only once"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_proves_overlong_while_it_is_sent_is_not_sent_again() {
    let fed = Fed::default();
    fed.data("hello");
    fed.data(", you");
    fed.feed(None);
    let calls = Cell::new(0);
    let service = service_fn(|request: Request<ReplayBody<Fed>>| {
        calls.set(calls.get() + 1);
        async {
            let sent = text(request.into_body()).await?;
            Err::<(), BoxError>(format!("down after {sent}").into())
        }
    });
    let layer = RetryLayer::new().clone_request(Replay::new());
    let request = Request::new(ReplayBody::with_limit(fed, 5));
    let (result, trail) = context::traced(layer.layer(service).oneshot(request)).await;
    assert_eq!(result.unwrap_err().to_string(), "down after hello, you");
    assert_eq!(calls.get(), 1);
    assert!(trail.to_string().contains("could be sent only once"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_answers_before_it_has_read_all_is_tried_again_whole() {
    let calls = Cell::new(0);
    let service = service_fn(|request: Request<ReplayBody<Fed>>| {
        calls.set(calls.get() + 1);
        let first = calls.get() == 1;
        async move {
            let mut body = request.into_body();
            if first {
                body.frame().await.expect("a frame")?;
                return Err::<_, BoxError>("down".into());
            }
            text(body).await
        }
    });
    let fed = Fed::default();
    fed.data("one ");
    fed.data("two");
    fed.feed(None);
    let layer = RetryLayer::new().clone_request(Replay::new());
    let request = Request::new(ReplayBody::new(fed));
    assert_eq!(
        layer.layer(service).oneshot(request).await.unwrap(),
        "one two"
    );
}
