//! What services say about trying again, as it is read from headers.

use std::time::{Duration, UNIX_EPOCH};

use backstop_core::RetryHint;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;

use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, differing, expect, failed, unknown},
    words::numbers,
};

pub(super) fn replay(case: &Case) -> Replay {
    let config = Fields::of(&case.config);
    let is = |field| config.get(field).is_some();
    let (replay_row, rule): (fn(&Fields<'_>, &Fields<'_>) -> Replay, _) = if is("honoured") {
        (sdk, SDK)
    } else if is("cap_s") {
        (with_status, CLAMPED)
    } else if is("cap_ms") {
        (pushback, CLAMPED)
    } else if is("now_ms") {
        (headers, AMAZON)
    } else {
        (described, "")
    };
    for row in &case.rows {
        let row = Fields::of(row);
        match replay_row(&config, &row) {
            outcome if rule.is_empty() => outcome?,
            outcome => differing(rule, outcome)?,
        }
        row.end()?;
    }
    config.skip(&["max_retries"]);
    config.end()
}

const SDK: &str = "a wait beyond the cap, or one that can't be read, ends the retrying with us; the \
                   SDK tries again early, after its own backoff";
const CLAMPED: &str = "a wait beyond the cap ends the retrying with us, and is handed on as it \
                       was; the library clamps it and comes back early; a wait of zero is no hint";
const AMAZON: &str = "a list or an ISO 8601 date is no `retry-after` that HTTP knows, and \
                      `x-amz-retry-after` is one vendor's own";

/// The instant at which the responses are received, where the case does not say.
const NOW: Duration = Duration::from_secs(1_696_004_797);

/// Reads the headers of a response that came `now`.
fn hint(headers: &[(HeaderName, &str)], now: Duration) -> Replay<RetryHint> {
    let mut map = HeaderMap::new();
    let now = httpdate::fmt_http_date(UNIX_EPOCH + now);
    for (name, value) in headers.iter().chain([&(header::DATE, now.as_str())]) {
        let Ok(value) = HeaderValue::from_str(value) else {
            return unknown(format!("header {value:?}"));
        };
        map.append(name, value);
    }
    Ok(RetryHint::from_headers(&map))
}

fn date(at: Duration) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + at)
}

/// The value, with the date that it has in words, `<http-date now+60s>`, as a date.
fn with_date(value: &str, now: Duration) -> String {
    let Some((before, rest)) = value.split_once("<http-date now+") else {
        return value.to_owned();
    };
    let (seconds, after) = rest.split_once("s>").unwrap_or((rest, ""));
    let later = Duration::from_secs(seconds.parse().unwrap_or_default());
    format!("{before}{}{after}", date(now + later))
}

/// The header that the row has; a `null` is a header that is not there.
fn header_of<'a>(row: &Fields<'a>) -> Replay<Option<&'a str>> {
    match row.get("header") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => unknown(format!("header {other}")),
    }
}

/// The milliseconds that the row expects; a `null` is no hint at all.
fn ms_of(row: &Fields<'_>) -> Replay<Option<Duration>> {
    match row.get("ms") {
        Some(Value::Null) => Ok(None),
        _ => Ok(Some(row.must("ms", Fields::ms)?)),
    }
}

/// Headers in words: `delta 10 s`, `date now+1 day`.
fn described(_: &Fields<'_>, row: &Fields<'_>) -> Replay {
    const DAY: Duration = Duration::from_secs(86_400);
    let value = match header_of(row)? {
        None => None,
        Some(text) => {
            let (words, numbers) = numbers(text);
            Some(match (words.as_str(), numbers.as_slice()) {
                ("date now+# day" | "date now+# days", &[n]) => date(NOW + DAY * n as u32),
                ("date # day in the past" | "date # days in the past", &[n]) => {
                    date(NOW - DAY * n as u32)
                }
                ("delta # s", &[seconds]) => seconds.to_string(),
                _ => return unknown(format!("header {text:?}")),
            })
        }
    };
    let headers: Vec<_> = value
        .iter()
        .map(|value| (header::RETRY_AFTER, value.as_str()))
        .collect();
    let hint = hint(&headers, NOW)?;
    // What can't be read is told from what is not there or asks for no wait.
    let parsed = value.is_some() && hint.should_retry() != Some(false);
    expect("parsed", parsed, row.must("parsed", Fields::bool)?)?;
    let wait = hint.after().unwrap_or_default();
    expect("ms", Some(wait), ms_of(row)?)
}

/// The delay before jitter of an SDK that takes its own backoff where it does not honour a header.
fn sdk(_: &Fields<'_>, row: &Fields<'_>) -> Replay {
    row.skip(&["remaining"]);
    let value = header_of(row)?.unwrap_or_default();
    let hint = hint(&[(header::RETRY_AFTER, value)], NOW)?;
    if hint.should_retry() == Some(false) {
        return failed(format!("{value:?} ends the retrying"));
    }
    let seconds = row.must("seconds", Fields::f64)?;
    let wait = hint.after().map_or(seconds, |wait| wait.as_secs_f64());
    expect("seconds", wait, seconds)
}

/// A status and a `retry-after`, which counts only with some statuses.
fn with_status(_: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let status = row.must("status", Fields::u64)?;
    let value = header_of(row)?.map(|text| {
        let (words, numbers) = numbers(text);
        match (words.as_str(), numbers.as_slice()) {
            ("date now+# s", &[seconds]) => date(NOW + Duration::from_secs(seconds)),
            _ => text.to_owned(),
        }
    });
    let headers: Vec<_> = value
        .iter()
        .map(|value| (header::RETRY_AFTER, value.as_str()))
        .collect();
    let wait = match status {
        400.. => hint(&headers, NOW)?.after(),
        _ => None,
    };
    expect("ms", wait, ms_of(row)?)
}

/// gRPC's pushback.
fn pushback(_: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let mut metadata = HeaderMap::new();
    if let Some(value) = header_of(row)? {
        let Ok(value) = HeaderValue::from_str(value) else {
            return unknown(format!("header {value:?}"));
        };
        metadata.insert("grpc-retry-pushback-ms", value);
    }
    let wait = RetryHint::from_grpc_metadata(&metadata).after();
    expect("ms", wait, ms_of(row)?)
}

/// Headers by name, with dates in words.
fn headers(config: &Fields<'_>, row: &Fields<'_>) -> Replay {
    let now = config.must("now_ms", Fields::ms)?;
    let named = row.must("headers", Fields::object)?;
    let value = |name: &str| named.str(name);
    if let Some(own) = value("x-amz-retry-after")? {
        return failed(format!("x-amz-retry-after {own:?} is not read"));
    }
    let mut headers = Vec::new();
    let text;
    if let Some(value) = value("retry-after")? {
        text = with_date(value, now);
        headers.push((header::RETRY_AFTER, text.as_str()));
    }
    named.end()?;
    let wait = hint(&headers, now)?.after();
    match row.get("ms") {
        Some(Value::String(range)) => {
            let ends: Vec<u128> = range.split("..").flat_map(str::parse).collect();
            let &[low, high] = ends.as_slice() else {
                return unknown(format!("range {range:?}"));
            };
            let within = wait.is_some_and(|wait| (low..=high).contains(&wait.as_millis()));
            expect(range, within, true)
        }
        _ => expect("ms", wait, ms_of(row)?),
    }
}
