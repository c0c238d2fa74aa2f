//! What a service says about trying again, in every form in which it is said.
#![no_main]

use std::time::{Duration, SystemTime};

use backstop_core::{Fault, FaultKind, RetryHint};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// Thirty years: the longest wait that a hint may name.
const FOREVER: Duration = Duration::from_secs(86_400 * 365 * 30);

/// A name that means something, for the first letter of a line.
const NAMES: [&str; 17] = [
    "anthropic-ratelimit-input-tokens-reset",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-reset",
    "date",
    "grpc-retry-pushback-ms",
    "ratelimit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-should-retry",
];

/// The lines as headers, each named by its first letter: `a` is the first of the names.
fn headers(lines: &[u8]) -> HeaderMap {
    lines
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let (first, value) = line.split_first()?;
            let name = NAMES.get(usize::from(first.wrapping_sub(b'a')))?;
            Some((
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).ok()?,
            ))
        })
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
}

fn check(hint: RetryHint) {
    if let Some(after) = hint.after() {
        assert!(!after.is_zero() && after <= FOREVER, "{after:?}");
    }
    let _ = hint.apply(Fault::new(FaultKind::RateLimited));
}

fuzz_target!(|data: &[u8]| {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let headers = headers(data);
    check(RetryHint::from_headers(&headers));
    check(RetryHint::from_headers_at(&headers, Some(now)));
    check(RetryHint::from_grpc_metadata(&headers));

    let text = String::from_utf8_lossy(data);
    check(RetryHint::from_retry_after(&text, None));
    check(RetryHint::from_retry_after(&text, Some(now)));
    check(RetryHint::from_delay(&text));
});
