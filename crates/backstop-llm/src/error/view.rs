//! What a caller is told of failures, in any dialect.

use std::borrow::Cow;

use backstop_core::{FaultKind, ServedBy, Trail};
use serde::Serialize;
use serde_json::{Value, json};

use super::Error;
use crate::Usage;

/// One failed attempt, as a caller is told of it.
#[derive(Serialize)]
pub(crate) struct AttemptView<'a> {
    candidate: Option<&'a str>,
    fault: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// The attempts of a trail, as a caller is told of them.
pub(crate) fn attempts(trail: &Trail) -> Vec<AttemptView<'_>> {
    let millis = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    trail
        .attempts()
        .iter()
        .map(|attempt| AttemptView {
            candidate: attempt.candidate.as_deref(),
            fault: attempt.fault.kind().label(),
            status: attempt.fault.status(),
            reason: attempt.fault.reason(),
            ms: millis(attempt.duration),
            retry_after_ms: attempt.fault.retry_after().map(millis),
        })
        .collect()
}

/// Who served a streamed answer and what failed on the way, as a caller is told at its end.
pub(crate) fn served(served: &ServedBy) -> Value {
    json!({
        "served_by": served.to_string(),
        "degraded": served.degraded,
        "attempts": attempts(&served.trail),
    })
}

/// Tokens used up to where an answer broke off.
#[derive(Serialize)]
pub(crate) struct UsageView {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input,
            output_tokens: usage.output,
            total_tokens: usage.total(),
        }
    }
}

impl Error {
    /// What a caller is told: our own words where the provider's are about our account, which is
    /// no business of the caller's.
    #[must_use]
    pub fn caller_message(&self) -> Cow<'_, str> {
        let own = match self.fault().kind() {
            FaultKind::Denied => "the provider did not accept our credential",
            FaultKind::Missing => "the provider does not offer the model configured for it",
            FaultKind::QuotaExhausted => "our account with the provider is used up",
            // What no candidate can do is told of each; by the last of them in its own words.
            FaultKind::Invalid if self.root().fault().kind() == FaultKind::Refused => {
                return Cow::Owned(format!("{} ({})", self.root().message(), self.message()));
            }
            FaultKind::TooLarge | FaultKind::Filtered | FaultKind::Invalid => {
                return Cow::Borrowed(self.root().message());
            }
            _ => return Cow::Borrowed(self.message()),
        };
        match self.trail() {
            Some(trail) if !trail.is_empty() => Cow::Borrowed(self.message()),
            _ => Cow::Borrowed(own),
        }
    }
}
