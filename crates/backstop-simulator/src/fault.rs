use std::{borrow::Cow, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::problem::Problem;

/// Something that goes wrong with a call.
///
/// A fault stays until it is taken away, unless [`times`](Self::times) says for how many calls it
/// is meant. See the crate's documentation for what each one looks like to the caller.
///
/// ```
/// use backstop_simulator::Fault;
///
/// let twice = Fault::status(503).times(2);
/// let now_and_then = Fault::reset().probability(0.1, 7);
/// # let _ = (twice, now_and_then);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Fault {
    name: Cow<'static, str>,
    pub(crate) effect: Effect,
    pub(crate) delay: Duration,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) times: Option<u64>,
    pub(crate) chance: Option<(f64, u64)>,
}

/// What a fault does once its delay is over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// The call is answered as if there were no fault.
    None,
    /// An error of the dialect, under its own status or under one that was asked for.
    Error {
        problem: Problem,
        status: Option<StatusCode>,
    },
    /// The first content is late, although the headers are not.
    FirstToken(Duration),
    /// No answer, on a connection that stays open.
    Hang,
    /// The connection is reset before the headers.
    Reset,
    /// The connection is reset before the request is read.
    Refuse,
    /// The reply begins well and breaks after so many chunks of content.
    Break { after: usize, how: Break },
    /// 200, and a body that is no reply.
    Garbage(Garbage),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Break {
    /// The connection ends in the middle of the body.
    Cut,
    /// The connection is reset in the middle of the body.
    Reset,
    /// The body ends well, without what should have come.
    Close,
    /// Nothing comes any more, on a connection that stays open.
    Stall,
    /// An error event comes, then the end.
    Error,
    /// Keep-alives come at this interval, and nothing else.
    Ping(Duration),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Garbage {
    Html,
    Empty,
    Error,
    Json,
}

// ===== impl Fault =====

impl Fault {
    fn new(name: impl Into<Cow<'static, str>>, effect: Effect) -> Self {
        Self {
            name: name.into(),
            effect,
            delay: Duration::ZERO,
            headers: Vec::new(),
            body: None,
            times: None,
            chance: None,
        }
    }

    fn problem(name: &'static str, problem: Problem) -> Self {
        Self::new(
            name,
            Effect::Error {
                problem,
                status: None,
            },
        )
    }

    fn breaks(how: Break, name: &str, after: usize) -> Self {
        Self::new(
            format!("{name} after {after}"),
            Effect::Break { after, how },
        )
    }

    /// No fault: a call that succeeds, in a [sequence](crate::Simulator::faults).
    pub fn none() -> Self {
        Self::new("none", Effect::None)
    }

    /// Any status, with the body that the dialect sends with it. A code below 200 is taken as 500.
    pub fn status(code: u16) -> Self {
        let status = StatusCode::from_u16(code)
            .ok()
            .filter(|status| !status.is_informational())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = Problem::of_status(status.as_u16());
        Self::new(
            format!("status {}", status.as_u16()),
            Effect::Error {
                problem,
                status: Some(status),
            },
        )
    }

    /// 529, Anthropic's `overloaded_error`.
    pub fn overloaded() -> Self {
        Self::problem("overloaded", Problem::Overloaded)
    }

    /// 503.
    pub fn unavailable() -> Self {
        Self::problem("unavailable", Problem::Unavailable)
    }

    /// 500.
    pub fn error() -> Self {
        Self::problem("error", Problem::Server)
    }

    /// 429, with the time after which the next request may come, in the place where the dialect
    /// says it: `retry-after`, or `RetryInfo` in the body.
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::problem("rate_limited", Problem::RateLimited(retry_after))
    }

    /// The account has run out of money: 429 `insufficient_quota`, or what the dialect says.
    pub fn quota() -> Self {
        Self::problem("quota", Problem::Quota)
    }

    /// 401.
    pub fn denied() -> Self {
        Self::problem("denied", Problem::WrongKey)
    }

    /// 403.
    pub fn forbidden() -> Self {
        Self::problem("forbidden", Problem::Forbidden)
    }

    /// 404: the model is gone.
    pub fn missing() -> Self {
        Self::problem("missing", Problem::NoSuchModel)
    }

    /// 400.
    pub fn invalid() -> Self {
        Self::problem("invalid", Problem::of_status(400))
    }

    /// 400: the prompt is longer than the model's context.
    pub fn too_large() -> Self {
        Self::problem("too_large", Problem::ContextLength)
    }

    /// The prompt was blocked by the provider's filter: 400, or Gemini's 200 without candidates.
    pub fn filtered() -> Self {
        Self::problem("filtered", Problem::Filtered)
    }

    /// Headers that come late, and then a good reply.
    pub fn late(by: Duration) -> Self {
        Self::new("late", Effect::None).delay(by)
    }

    /// Headers that come at once, and a first token that comes late.
    pub fn slow(first_token: Duration) -> Self {
        Self::new("slow", Effect::FirstToken(first_token))
    }

    /// No answer, ever, on a connection that stays open.
    pub fn hang() -> Self {
        Self::new("hang", Effect::Hang)
    }

    /// The connection is reset (TCP RST) before the headers.
    pub fn reset() -> Self {
        Self::new("reset", Effect::Reset)
    }

    /// The connection is reset as soon as it is made, before the request is read. Control calls
    /// are still answered. [`Simulator::go_down`](crate::Simulator::go_down) refuses for real.
    pub fn refuse() -> Self {
        Self::new("refuse", Effect::Refuse)
    }

    /// The connection ends in the middle of the body, after so many chunks of content, without the
    /// terminator that HTTP wants.
    pub fn cut(after: usize) -> Self {
        Self::breaks(Break::Cut, "cut", after)
    }

    /// As [`cut`](Self::cut), by TCP RST, which may take chunks with it that were already sent.
    pub fn reset_after(after: usize) -> Self {
        Self::breaks(Break::Reset, "reset", after)
    }

    /// The body ends well as far as HTTP is concerned, but without its end marker.
    pub fn close(after: usize) -> Self {
        Self::breaks(Break::Close, "close", after)
    }

    /// Silence after so many chunks of content, on a connection that stays open.
    pub fn stall(after: usize) -> Self {
        Self::breaks(Break::Stall, "stall", after)
    }

    /// No content after so many chunks, but a keep-alive at this interval: Anthropic's `ping`
    /// event, a comment elsewhere, white space in a plain reply.
    pub fn pings(after: usize, interval: Duration) -> Self {
        Self::breaks(Break::Ping(interval), "pings", after)
    }

    /// The dialect's error event after so many chunks of content, then a clean end. With 0 it is
    /// the very first event. A plain reply is the same error under its own status.
    pub fn error_event(after: usize) -> Self {
        Self::breaks(Break::Error, "error_event", after)
    }

    /// 200 with a page of HTML.
    pub fn html() -> Self {
        Self::new("html", Effect::Garbage(Garbage::Html))
    }

    /// 200 with no body at all.
    pub fn empty() -> Self {
        Self::new("empty", Effect::Garbage(Garbage::Empty))
    }

    /// 200 with the dialect's error object as its body.
    pub fn error_200() -> Self {
        Self::new("error_200", Effect::Garbage(Garbage::Error))
    }

    /// 200 with JSON that stops half-way.
    pub fn garbage() -> Self {
        Self::new("garbage", Effect::Garbage(Garbage::Json))
    }

    /// Adds a header to an error, or replaces the dialect's own of that name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Replaces the body of an error.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Waits before it does anything: an error that takes its time, a late reset.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Meets only so many calls; those after them find no fault, or the next one of a
    /// [sequence](crate::Simulator::faults).
    pub fn times(mut self, calls: u64) -> Self {
        self.times = Some(calls);
        self
    }

    /// Meets each call with this probability, by the dice of this seed. A call that it spares
    /// counts for nothing.
    pub fn probability(mut self, probability: f64, seed: u64) -> Self {
        self.chance = Some((probability, seed));
        self
    }

    /// The fault of this name, as over HTTP.
    ///
    /// # Errors
    ///
    /// When there is none of this name; the error lists those that there are.
    pub fn preset(name: &str) -> Result<Self, InvalidFault> {
        crate::spec::preset(name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A fault that was asked for and can't be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidFault(pub(crate) String);

impl fmt::Display for InvalidFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidFault {}
