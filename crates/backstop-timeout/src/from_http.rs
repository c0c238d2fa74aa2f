//! The limits that an HTTP request brings along.

use std::time::Duration;

use backstop_core::Deadline;
use http::{HeaderValue, Request};

use crate::{Limits, LimitsFor};

/// Limits that an HTTP request brings along: [`Limits`] in its extensions replace the configured
/// ones, a [`Deadline`] in its extensions and a `grpc-timeout` header tighten them.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct FromHttp;

impl FromHttp {
    /// The rule, which has nothing to configure.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<B> LimitsFor<Request<B>> for FromHttp {
    fn limits_for(&self, request: &Request<B>, configured: Limits) -> Limits {
        let mut limits = request.extensions().get().copied().unwrap_or(configured);
        if let Some(deadline) = request.extensions().get::<Deadline>() {
            limits.deadline = Some(limits.deadline.map_or(*deadline, |own| own.min(*deadline)));
        }
        if let Some(asked) = request.headers().get("grpc-timeout").and_then(grpc_timeout) {
            limits.total = Some(limits.total.map_or(asked, |own| own.min(asked)));
        }
        limits
    }
}

/// Up to eight digits and a unit; anything else is no limit, as the gRPC specification has it.
fn grpc_timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}
