//! The layer.

use tower_layer::Layer;

use super::Continue;

/// Goes on with a streamed answer that broke off, by calling the stack inside once more, past the
/// candidate that failed.
///
/// It belongs outside the fallback: the next candidate is handed what has been said already, and
/// goes on from there by whatever means its model has ([`Resumes`](crate::Resumes)). What is
/// repeated at the seam is dropped, ids are kept, the limit of tokens is reduced, and the usage of
/// both is counted.
///
/// Only plain text is gone on with. Tool calls, JSON, thoughts, several answers and log
/// probabilities are not: such a stream ends with its error, as does one that no candidate is able
/// or willing to continue. The error is then the one that broke the stream, not the one that kept
/// it from being continued, and tells the usage up to there.
///
/// # Defaults
///
/// Two continuations a call; answers of up to 256 KiB.
#[derive(Clone, Copy, Debug)]
pub struct ContinueLayer {
    pub(super) times: u32,
    pub(super) max_partial: usize,
}

impl ContinueLayer {
    /// With the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            times: 2,
            max_partial: 256 * 1024,
        }
    }

    /// How often one answer may be continued.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// How many bytes of text an answer may have that is still continued: it is kept in memory
    /// until its end, and sent once more.
    #[must_use]
    pub const fn max_partial(mut self, bytes: usize) -> Self {
        self.max_partial = bytes;
        self
    }
}

impl Default for ContinueLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ContinueLayer {
    type Service = Continue<S>;

    fn layer(&self, inner: S) -> Continue<S> {
        Continue::new(inner, *self)
    }
}
