use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::log::{Outcome, Ticket};

/// What a body does, step by step.
#[derive(Debug)]
pub(crate) enum Step {
    Send(Bytes),
    /// Lets what was sent reach the wire, and waits.
    Wait(Duration),
    /// Ends the connection where it is.
    Cut,
    /// Ends the connection by TCP RST.
    Reset,
    /// Ends the body well, too early.
    Close,
    /// Sends nothing any more.
    Stall,
    /// Sends the same at this interval, for ever.
    Repeat(Bytes, Duration),
}

/// The body of an answer: it plays its steps, and tells the log how it ended.
#[derive(Debug)]
pub(crate) struct Play {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    ticket: Option<Ticket>,
    line: Line,
}

impl Play {
    pub(crate) fn new(steps: Vec<Step>, ticket: Ticket, line: Line) -> Self {
        Self {
            steps: VecDeque::from(steps),
            sleep: None,
            ticket: Some(ticket),
            line,
        }
    }

    /// A body that is not logged.
    pub(crate) fn whole(body: impl Into<Bytes>, line: Line) -> Self {
        let steps = VecDeque::from([Step::Send(body.into())]);
        Self {
            steps,
            sleep: None,
            ticket: None,
            line,
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.steps.clear();
        if let Some(mut ticket) = self.ticket.take() {
            ticket.end(outcome);
        }
    }
}

impl Body for Play {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let Some(step) = self.steps.pop_front() else {
                self.end(Outcome::Completed);
                return Poll::Ready(None);
            };
            match step {
                Step::Send(data) => {
                    // A server drops a body of known length once it has it all, so that the end
                    // is told with the last piece.
                    if self.steps.is_empty() {
                        self.end(Outcome::Completed);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Step::Wait(Duration::ZERO) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Step::Wait(pause) => {
                    self.sleep = Some(Box::pin(sleep_until(Instant::now() + pause)));
                }
                Step::Cut => {
                    self.end(Outcome::Broken);
                    return Poll::Ready(Some(Err(Broken)));
                }
                Step::Reset => {
                    self.line.reset();
                    self.end(Outcome::Broken);
                    return Poll::Ready(Some(Err(Broken)));
                }
                Step::Close => {
                    self.end(Outcome::Broken);
                    return Poll::Ready(None);
                }
                Step::Repeat(data, interval) => {
                    let frame = Frame::data(data.clone());
                    self.steps.push_front(Step::Repeat(data, interval));
                    self.steps.push_front(Step::Wait(interval));
                    return Poll::Ready(Some(Ok(frame)));
                }
                Step::Stall => {
                    self.steps.push_front(Step::Stall);
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.sleep.is_none()
    }

    /// Exact for a body in one piece, so that it is sent with its length.
    fn size_hint(&self) -> SizeHint {
        match (self.steps.front(), self.steps.len()) {
            (None, _) => SizeHint::with_exact(0),
            (Some(Step::Send(data)), 1) => SizeHint::with_exact(data.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

/// The connection ends here because a fault says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken by a fault")
    }
}

impl std::error::Error for Broken {}

/// The connection that a call came on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Arc<AtomicBool>);

impl Line {
    /// Has the connection end by RST rather than by FIN.
    pub(crate) fn reset(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
