//! The hint in the headers of a response.

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, HeaderValue, header};

use super::{
    RetryHint, date,
    duration::{SECOND, decimal, from_nanos, whole},
};

/// The same wait as in `retry-after`, to the millisecond.
const MILLIS: [&str; 2] = ["retry-after-ms", "x-ms-retry-after-ms"];

/// What the names of the headers begin with that speak of limits on the rate of calls. What is
/// left of a limit is in a header of the same name, with `remaining` in place of `reset`.
const RATE_LIMITS: [&str; 3] = ["x-ratelimit-", "ratelimit-", "anthropic-ratelimit-"];

/// What one header says.
enum Said {
    /// It is not there, or empty.
    Nothing,
    /// To wait this long, which may be nothing.
    Wait(Duration),
    /// A wait that can't be understood.
    Unreadable,
}

impl From<Option<Duration>> for Said {
    fn from(read: Option<Duration>) -> Self {
        read.map_or(Self::Unreadable, Self::Wait)
    }
}

impl RetryHint {
    /// Reads the hint from the headers of a response that is a failure. Its date tells what time
    /// it is to the service; no clock is read.
    ///
    /// In the order of their weight: `x-should-retry`; `retry-after-ms` and
    /// `x-ms-retry-after-ms`; `retry-after`, in seconds or as a date; then, for limits on the
    /// rate of calls that are used up, `x-ratelimit-reset`, `ratelimit-reset` and
    /// `anthropic-ratelimit-…-reset` in all their dialects.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self::from_headers_at(headers, None)
    }

    /// Reads the hint from headers, where the response may be without a date of its own: `now` is
    /// when it came, by the wall clock.
    pub fn from_headers_at(headers: &HeaderMap, now: Option<SystemTime>) -> Self {
        let received = headers
            .get(header::DATE)
            .and_then(text)
            .and_then(date::http)
            .or_else(|| now.map(date::unix));
        let should_retry = match headers.get("x-should-retry").and_then(text) {
            Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        let wait = wait(headers, received);
        Self {
            after: wait.after,
            // A wait that can't be understood is never taken for leave to come back at once.
            should_retry: wait.should_retry.or(should_retry),
        }
    }

    /// Reads a `retry-after` header's value: seconds, or a date that is compared with `now`.
    ///
    /// ```
    /// use backstop_core::RetryHint;
    ///
    /// let hint = RetryHint::from_retry_after("120", None);
    /// assert_eq!(hint.after().unwrap().as_secs(), 120);
    /// ```
    pub fn from_retry_after(value: &str, now: Option<SystemTime>) -> Self {
        match retry_after(value.trim_ascii(), now.map(date::unix)) {
            Said::Nothing => Self::default(),
            Said::Wait(wait) => Some(wait).into(),
            Said::Unreadable => None.into(),
        }
    }

    /// Reads the hint from the metadata of a gRPC status: `grpc-retry-pushback-ms`. A negative
    /// number, or what is none, or more than one of them, asks not to be tried again.
    #[cfg(feature = "grpc")]
    pub fn from_grpc_metadata(metadata: &HeaderMap) -> Self {
        let mut values = metadata.get_all("grpc-retry-pushback-ms").iter();
        match (values.next(), values.next()) {
            (None, _) => Self::default(),
            (Some(value), None) => text(value).and_then(millis).into(),
            (Some(_), Some(_)) => Self::NO,
        }
    }
}

/// The first header in order of weight that names a wait.
fn wait(headers: &HeaderMap, received: Option<u128>) -> RetryHint {
    let named = MILLIS
        .iter()
        .map(|name| longest(headers, name, |text| millis(text).into()))
        .chain([longest(headers, header::RETRY_AFTER.as_str(), |text| {
            retry_after(text, received)
        })]);
    let mut outright = None;
    for said in named {
        match said {
            Said::Nothing => {}
            Said::Wait(wait) if wait.is_zero() => {
                outright.get_or_insert(RetryHint::default());
            }
            Said::Wait(wait) => return Some(wait).into(),
            Said::Unreadable => outright = Some(RetryHint::NO),
        }
    }
    outright.unwrap_or_else(|| match reset(headers, received) {
        Some(wait) => Some(wait).into(),
        None => RetryHint::default(),
    })
}

/// The longest wait in the headers of this name: a proxy on the way may have added its own.
fn longest(headers: &HeaderMap, name: &str, read: impl Fn(&str) -> Said) -> Said {
    let said = headers.get_all(name).iter().map(|value| match text(value) {
        Some("") => Said::Nothing,
        Some(text) => read(text),
        None => Said::Unreadable,
    });
    said.fold(Said::Nothing, |so_far, next| match (so_far, next) {
        (Said::Unreadable, _) | (_, Said::Unreadable) => Said::Unreadable,
        (Said::Wait(one), Said::Wait(other)) => Said::Wait(one.max(other)),
        (Said::Nothing, said) | (said, Said::Nothing) => said,
    })
}

fn retry_after(text: &str, received: Option<u128>) -> Said {
    if text.is_empty() {
        return Said::Nothing;
    }
    if let Some(seconds) = whole(text) {
        return Said::Wait(from_nanos(seconds.saturating_mul(SECOND)));
    }
    let until = date::http(text).zip(received);
    until
        .map(|(at, received)| from_nanos(at.saturating_sub(received)))
        .into()
}

/// When the last of the limits that are used up is lifted. What can't be understood is passed
/// over: these headers are no more than notes.
fn reset(headers: &HeaderMap, received: Option<u128>) -> Option<Duration> {
    let waits = headers.iter().filter_map(|(name, value)| {
        let limit = name.as_str();
        let prefix = RATE_LIMITS
            .into_iter()
            .find(|prefix| limit.starts_with(prefix))?;
        // `x-ratelimit-reset`, `x-ratelimit-reset-tokens`, `anthropic-ratelimit-tokens-reset`.
        let rest = &limit[prefix.len()..];
        if !(rest.starts_with("reset") || rest.ends_with("-reset")) {
            return None;
        }
        let left = format!("{prefix}{}", rest.replacen("reset", "remaining", 1));
        let left = headers.get(left).and_then(text).and_then(whole);
        if left.is_some_and(|left| left > 0) {
            return None;
        }
        date::until_reset(text(value)?, received)
    });
    waits.max()
}

fn millis(text: &str) -> Option<Duration> {
    decimal(text, SECOND / 1_000).map(from_nanos)
}

fn text(value: &HeaderValue) -> Option<&str> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    Some(text.trim_ascii())
}
