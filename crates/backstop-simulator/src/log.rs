use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

/// A call that a stand-in saw.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The first call is 0. Numbers are never given twice, even when the log is cleared.
    pub id: u64,
    /// When it came, from the start of the stand-in.
    pub at: Duration,
    /// How long it took until its [`Outcome`] was known.
    pub took: Option<Duration>,
    /// The request's method.
    pub method: Method,
    /// The request's path and query, without the value of a `key`.
    pub path: String,
    /// The request's headers, without the values of those that hold a key.
    pub headers: HeaderMap,
    /// The request's body.
    pub body: Bytes,
    /// The name of the fault that it met.
    pub fault: Option<String>,
    /// The status it was answered with, once it was.
    pub status: Option<u16>,
    /// How it ended, or that it has not yet.
    pub outcome: Outcome,
}

impl Call {
    /// The request's body as JSON, or `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header of the request, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It has not ended yet.
    Open,
    /// All of the answer was sent, be it a reply or an error.
    Completed,
    /// A fault broke the connection or the reply.
    Broken,
    /// The caller went away before the end of the answer (or the stand-in was shut down).
    Cancelled,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Broken => "broken",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The last calls, as many as it has room for.
#[derive(Debug)]
pub(crate) struct Log {
    calls: Mutex<Calls>,
    capacity: usize,
    started: Instant,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Calls {
    kept: VecDeque<Call>,
    seen: u64,
}

impl Log {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            calls: Mutex::default(),
            capacity,
            started: Instant::now(),
            changed: watch::Sender::new(()),
        }
    }

    /// Enters a call, and hands out the ticket by which its end is told.
    pub(crate) fn enter(
        self: &Arc<Self>,
        method: Method,
        path: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Ticket {
        let mut calls = self.lock();
        let id = calls.seen;
        calls.seen += 1;
        if self.capacity > 0 {
            if calls.kept.len() >= self.capacity {
                calls.kept.pop_front();
            }
            calls.kept.push_back(Call {
                id,
                at: self.started.elapsed(),
                took: None,
                method,
                path,
                headers,
                body,
                fault: None,
                status: None,
                outcome: Outcome::Open,
            });
        }
        drop(calls);
        self.changed.send_replace(());
        Ticket {
            log: Arc::clone(self),
            id,
            open: true,
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().kept.iter().cloned().collect()
    }

    /// How many calls came, the forgotten ones included.
    pub(crate) fn seen(&self) -> u64 {
        self.lock().seen
    }

    pub(crate) fn clear(&self) {
        self.lock().kept.clear();
    }

    /// Waits until the log is as the caller wants it, and returns what the caller took from it.
    pub(crate) async fn wait_until<T>(&self, mut look: impl FnMut(&[Call]) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(found) = look(self.lock().kept.make_contiguous()) {
                return found;
            }
            // The sender lives as long as `self`, so that this can't be the end of the changes.
            let _ = changes.changed().await;
        }
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut Call, Duration)) {
        let now = self.started.elapsed();
        let mut calls = self.lock();
        let first = calls.kept.front().map_or(id, |call| call.id);
        let place = id
            .checked_sub(first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(call) = place.and_then(|place| calls.kept.get_mut(place)) {
            change(call, now);
        }
        drop(calls);
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call holds while it is open. Dropped, it says that the caller went away.
#[derive(Debug)]
pub(crate) struct Ticket {
    log: Arc<Log>,
    id: u64,
    open: bool,
}

impl Ticket {
    pub(crate) fn met(&self, fault: &str) {
        self.log
            .update(self.id, |call, _| call.fault = Some(fault.to_owned()));
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        self.log
            .update(self.id, |call, _| call.status = Some(status.as_u16()));
    }

    pub(crate) fn end(&mut self, outcome: Outcome) {
        if self.open {
            self.open = false;
            self.log.update(self.id, |call, now| {
                call.outcome = outcome;
                call.took = Some(now.saturating_sub(call.at));
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}

/// Blots out the headers that hold a key.
pub(crate) fn redact_headers(mut headers: HeaderMap) -> HeaderMap {
    const SECRET: [&str; 6] = [
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "proxy-authorization",
    ];
    for name in SECRET {
        if let Some(value) = headers.get_mut(name) {
            *value = HeaderValue::from_static("[redacted]");
        }
    }
    headers
}

/// A path and query without the value of Gemini's `key`.
pub(crate) fn redact_path(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else {
        return path.to_owned();
    };
    let query: Vec<&str> = query
        .split('&')
        .map(|pair| {
            if pair.starts_with("key=") {
                "key=[redacted]"
            } else {
                pair
            }
        })
        .collect();
    format!("{path}?{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(log: &Arc<Log>, path: &str) -> Ticket {
        log.enter(
            Method::POST,
            path.to_owned(),
            HeaderMap::new(),
            Bytes::new(),
        )
    }

    #[test]
    fn a_ticket_that_is_dropped_says_that_the_caller_left() {
        let log = Arc::new(Log::new(8));
        drop(enter(&log, "/a"));
        assert_eq!(log.calls()[0].outcome, Outcome::Cancelled);
    }

    #[test]
    fn an_end_is_told_once() {
        let log = Arc::new(Log::new(8));
        let mut ticket = enter(&log, "/a");
        ticket.end(Outcome::Completed);
        drop(ticket);
        assert_eq!(log.calls()[0].outcome, Outcome::Completed);
    }

    #[test]
    fn a_full_log_forgets_the_oldest_and_still_counts_it() {
        let log = Arc::new(Log::new(2));
        let mut first = enter(&log, "/a");
        let mut second = enter(&log, "/b");
        let _third = enter(&log, "/c");
        first.end(Outcome::Broken);
        second.end(Outcome::Broken);
        let calls = log.calls();
        assert_eq!(calls.iter().map(|call| call.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(calls[0].outcome, Outcome::Broken);
        assert_eq!(log.seen(), 3);
    }

    #[test]
    fn a_ticket_outlives_the_clearing_of_its_log() {
        let log = Arc::new(Log::new(2));
        let mut gone = enter(&log, "/a");
        log.clear();
        let _here = enter(&log, "/b");
        gone.end(Outcome::Broken);
        assert_eq!(log.calls()[0].outcome, Outcome::Open);
    }

    #[test]
    fn the_key_in_a_query_is_blotted_out() {
        assert_eq!(
            redact_path("/v1beta/models?alt=sse&key=s3cret"),
            "/v1beta/models?alt=sse&key=[redacted]"
        );
        assert_eq!(redact_path("/v1/models"), "/v1/models");
    }
}
