//! Statuses as verdicts, and bodies as tails.
#![cfg(feature = "http")]

use std::{
    cell::RefCell,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use backstop_core::{
    AtOnce, BoxError, Classify, Completes, End, Fault, FaultKind, HttpStatus, Tail, UntilEnd,
    Verdict, Watch, context, http::Watched,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tokio_test::{assert_pending, assert_ready, task};

// ===== Statuses =====

fn verdict(status: u16) -> Verdict {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    HttpStatus::new().classify(Ok::<_, &Infallible>(&response))
}

#[test]
fn each_status_is_of_its_kind() {
    let kinds = [
        (400, FaultKind::Invalid),
        (401, FaultKind::Denied),
        (402, FaultKind::QuotaExhausted),
        (403, FaultKind::Denied),
        (404, FaultKind::Missing),
        (408, FaultKind::TimedOut),
        (409, FaultKind::Unavailable),
        (413, FaultKind::TooLarge),
        (422, FaultKind::Invalid),
        (425, FaultKind::Unavailable),
        (429, FaultKind::RateLimited),
        (500, FaultKind::Unavailable),
        (501, FaultKind::Invalid),
        (502, FaultKind::Unavailable),
        (503, FaultKind::Unavailable),
        (504, FaultKind::Unavailable),
        (529, FaultKind::Overloaded),
    ];
    for (status, kind) in kinds {
        let verdict = verdict(status);
        let fault = verdict.fault().expect("a failure");
        assert_eq!((fault.kind(), fault.status()), (kind, Some(status)));
    }
    for status in [100, 200, 204, 301, 304, 399] {
        assert_eq!(verdict(status), Verdict::Success, "{status}");
    }
}

#[test]
fn what_the_headers_say_of_trying_again_goes_into_the_fault() {
    let response = Response::builder()
        .status(503)
        .header("retry-after", "7")
        .body(());
    let fault = HttpStatus::fault(&response.expect("a response")).expect("a failure");
    assert_eq!(fault.retry_after(), Some(std::time::Duration::from_secs(7)));
}

#[test]
fn an_error_is_a_failure_to_connect() {
    let verdict = HttpStatus::new().classify(Err::<&Response<()>, _>(&"refused"));
    assert_eq!(verdict, Fault::new(FaultKind::Connect).into());
}

// ===== Tails =====

/// Notes down what it sees.
#[derive(Clone, Default)]
struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        self.0.take()
    }

    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }
}

/// A watch that notes down, and cuts the tail short once it is told to.
struct Noting {
    notes: Notes,
    cut: bool,
}

impl Drop for Noting {
    fn drop(&mut self) {
        self.notes.note("dropped");
    }
}

impl Completes for Noting {
    fn completed(self) {
        self.notes.note("complete");
    }
}

impl Watch<BoxError> for Noting {
    fn poll_cut(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<BoxError> {
        if !self.cut {
            return Poll::Pending;
        }
        context::leave_fault(Fault::new(FaultKind::TimedOut));
        Poll::Ready("cut short".into())
    }

    fn around<R>(self: Pin<&mut Self>, poll: impl FnOnce() -> R) -> R {
        let result = poll();
        self.notes.note("polled");
        result
    }

    fn on_item(self: Pin<&mut Self>) {
        self.notes.note("item");
    }

    fn on_end(self: Pin<&mut Self>, end: End) {
        self.notes.note(match end {
            End::Completed => "completed".into(),
            End::Failed(fault) => format!("failed: {}", fault.kind()),
            _ => "ended otherwise".into(),
        });
    }
}

type Piece = Result<Frame<&'static [u8]>, BoxError>;

/// A body of these frames; it pends where there is none.
struct Frames(Vec<Option<Piece>>);

impl Body for Frames {
    type Data = &'static [u8];
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        match self.0.remove(0) {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(42)
    }
}

fn data() -> Option<Piece> {
    Some(Ok(Frame::data(b"data")))
}

fn watched<B: Body<Error = BoxError>>(body: B, cut: bool) -> (Watched<B, Noting>, Notes) {
    let notes = Notes::default();
    let watch = Noting {
        notes: notes.clone(),
        cut,
    };
    (
        UntilEnd.attach(Response::new(body), watch).into_body(),
        notes,
    )
}

#[tokio::test]
async fn a_watch_sees_each_poll_each_item_and_the_end() {
    let (body, notes) = watched(Frames(vec![data(), data()]), false);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "datadata");
    let seen = [
        "polled",
        "item",
        "polled",
        "item",
        "polled",
        "completed",
        "dropped",
    ];
    assert_eq!(notes.take(), seen);
}

#[tokio::test]
async fn an_error_ends_the_tail_as_interrupted() {
    let (mut body, notes) = watched(Frames(vec![Some(Err("reset".into())), data()]), false);
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(notes.take(), ["polled", "failed: interrupted", "dropped"]);
    assert!(body.frame().await.unwrap().is_ok());
    assert!(notes.take().is_empty(), "nothing more is told");
}

#[tokio::test]
async fn a_tail_dropped_before_its_end_drops_its_watch_without_a_word() {
    let (mut body, notes) = watched(Frames(vec![data(), None]), false);
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(notes.take(), ["polled", "item", "dropped"]);
}

#[tokio::test]
async fn a_watch_can_cut_a_pending_tail_short_and_says_why() {
    let (mut body, notes) = watched(Frames(vec![data(), None, data()]), true);
    body.frame().await.unwrap().unwrap();
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "cut short");
    assert_eq!(
        notes.take()[2..],
        ["polled", "failed: timed out", "dropped"]
    );
}

#[tokio::test]
async fn a_pending_tail_that_is_not_cut_pends() {
    let (body, notes) = watched(Frames(vec![None, data()]), false);
    let mut body = task::spawn(body);
    let mut poll = || body.enter(|cx, body| body.poll_frame(cx));
    assert_pending!(poll());
    assert!(assert_ready!(poll()).is_some());
    assert_eq!(notes.take(), ["polled", "polled", "item"]);
}

#[tokio::test]
async fn size_end_and_trailers_are_the_bodys_own() {
    let (body, _) = watched(Frames(vec![data()]), false);
    assert_eq!(body.size_hint().exact(), Some(42));
    assert!(!body.is_end_stream());
    let (empty, _) = watched(Empty::<&[u8]>::new().map_err(BoxError::from), false);
    assert!(empty.is_end_stream());

    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("7"));
    let (body, notes) = watched(
        Frames(vec![data(), Some(Ok(Frame::trailers(trailers)))]),
        false,
    );
    let read = body.collect().await.unwrap();
    assert_eq!(read.trailers().unwrap()["x-checksum"], "7");
    assert!(notes.take().contains(&"completed".to_owned()));
}

#[tokio::test]
async fn the_last_frame_is_the_end_where_the_body_knows() {
    // Whoever sends a body of a known length does not ask it for its end.
    let body = Full::new(&b"hello"[..]).map_err(BoxError::from);
    let (mut body, notes) = watched(body, false);
    body.frame().await.unwrap().unwrap();
    assert_eq!(notes.take(), ["polled", "item", "completed", "dropped"]);
}

#[test]
fn an_empty_body_has_ended_though_nobody_ever_asks_it() {
    let (_body, notes) = watched(Empty::<&[u8]>::new().map_err(BoxError::from), false);
    assert_eq!(notes.take(), ["completed", "dropped"]);
}

#[test]
fn grpc_says_in_the_headers_how_a_call_without_a_body_ended() {
    for (code, end) in [("0", "completed"), ("14", "failed: unavailable")] {
        let notes = Notes::default();
        let watch = Noting {
            notes: notes.clone(),
            cut: false,
        };
        let body = Empty::<&[u8]>::new().map_err(BoxError::from);
        let response = Response::builder().header("grpc-status", code).body(body);
        let _response = UntilEnd.attach(response.unwrap(), watch);
        assert_eq!(notes.take(), [end, "dropped"]);
    }
}

#[tokio::test]
async fn grpc_says_in_the_trailers_how_a_call_ended() {
    let ends = [
        ("0", "completed"),
        ("1", "completed"),
        ("4", "failed: timed out"),
        ("8", "failed: rate limited"),
        ("14", "failed: unavailable"),
        ("16", "failed: denied"),
        ("garbage", "completed"),
    ];
    for (code, end) in ends {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(code));
        let (body, notes) = watched(Frames(vec![Some(Ok(Frame::trailers(trailers)))]), false);
        body.collect().await.unwrap();
        let told: Vec<_> = notes
            .take()
            .into_iter()
            .filter(|note| note.contains("ed"))
            .collect();
        assert!(told.contains(&end.to_owned()), "{code}: {told:?}");
        let ends = told
            .iter()
            .filter(|note| note.starts_with("failed") || *note == "completed");
        assert_eq!(ends.count(), 1, "{code}");
    }
}

#[test]
fn at_once_the_response_is_all_there_is() {
    let notes = Notes::default();
    let watch = Noting {
        notes: notes.clone(),
        cut: false,
    };
    assert_eq!(AtOnce.attach(7, watch), 7);
    assert_eq!(notes.take(), ["complete", "dropped"]);
}
