//! Answers, each in its caller's own language.

use std::{borrow::Cow, time::Duration};

use axum::body::Body;
use backstop_llm::{ChatBody, ChatRequest, ChatResponse, Completion, Dialect, dialect::Front};
use backstop_served_by::edge;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use tokio::time::Instant;

use super::{clock, stream::StreamBody};
use crate::{
    account::Account,
    callers::{Allowance, Left},
};

/// What the operator wants callers of a lesser answer to be told.
const DEGRADED_MESSAGE: HeaderName = HeaderName::from_static("x-degraded-message");

/// So many headers most answers have, and those that are put on them.
const HEADERS: usize = 8;

/// Writes an answer as a response. The gateway itself took `before` until it asked, and has had
/// the answer since `back`.
pub(super) fn answer(
    front: &dyn Front,
    request: &ChatRequest,
    response: ChatResponse,
    mut account: Account,
    before: Duration,
    back: Instant,
) -> Response<Body> {
    let served = response.served_by().cloned();
    account.answered(served.as_ref(), 200, back);
    let mut headers = HeaderMap::with_capacity(HEADERS);
    if let Some(served) = &served {
        edge::write(&mut headers, served);
        if let Some(message) = account.degraded(&served.name) {
            headers.insert(DEGRADED_MESSAGE, message);
        }
    }
    let (kind, body) = match response.into_body() {
        ChatBody::Stream(stream) => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            // Proxies on the way would otherwise hold the tokens back to send them in one go.
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
            let encoder = front.encoder(request);
            account.call_mut().overhead = Some(before + back.elapsed());
            let body = StreamBody::new(stream, encoder, served, account);
            ("text/event-stream", Body::new(body))
        }
        ChatBody::Whole(completion, raw) => {
            let body = match raw {
                Some(raw) if raw.dialect == front.dialect() => raw.bytes,
                _ => front.render(&dated(&completion)),
            };
            account.call_mut().overhead = Some(before + back.elapsed());
            account.whole(&completion);
            ("application/json", Body::from(body))
        }
        _ => unreachable!("an answer is whole or in pieces"),
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// An answer with a time: some dialects have one and some have not.
fn dated(completion: &Completion) -> Cow<'_, Completion> {
    let mut dated = Cow::Borrowed(completion);
    if completion.created.is_none() {
        dated.to_mut().created = Some(clock::seconds());
    }
    dated
}

/// Says what a caller's limits still allow, in the words of its dialect.
pub(super) fn allowance(headers: &mut HeaderMap, dialect: Dialect, allowance: &Allowance) {
    let prefix = match dialect {
        Dialect::Anthropic => "anthropic-ratelimit",
        _ => "x-ratelimit",
    };
    let all = [
        ("requests", allowance.requests),
        ("tokens", allowance.tokens),
    ];
    for (what, left) in all {
        let Some(Left {
            limit,
            remaining,
            reset,
        }) = left
        else {
            continue;
        };
        let (names, reset) = match dialect {
            Dialect::Anthropic => (
                [
                    format!("{prefix}-{what}-limit"),
                    format!("{prefix}-{what}-remaining"),
                ],
                (
                    format!("{prefix}-{what}-reset"),
                    clock::rfc3339(clock::seconds().saturating_add(reset.as_secs())),
                ),
            ),
            _ => (
                [
                    format!("{prefix}-limit-{what}"),
                    format!("{prefix}-remaining-{what}"),
                ],
                (
                    format!("{prefix}-reset-{what}"),
                    format!("{}ms", reset.as_millis()),
                ),
            ),
        };
        let [limit_name, remaining_name] = names;
        put(headers, limit_name, &limit.to_string());
        put(headers, remaining_name, &remaining.to_string());
        let (name, value) = reset;
        put(headers, name, &value);
    }
}

fn put(headers: &mut HeaderMap, name: String, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}
