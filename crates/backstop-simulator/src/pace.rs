use std::time::Duration;

/// How fast a stand-in speaks.
///
/// A streamed reply sends its headers and its opening events at once, waits `first_token`, and then
/// waits `per_chunk` before each further chunk. A plain reply waits for as long as the whole of its
/// stream would have taken before it sends its headers, as the real ones do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Pace {
    /// From the request to the first content.
    pub first_token: Duration,
    /// From one chunk of content to the next.
    pub per_chunk: Duration,
}

impl Pace {
    /// No wait at all. Each chunk is still written to the socket on its own.
    pub const INSTANT: Self = Self::new(Duration::ZERO, Duration::ZERO);

    /// About as fast as a large model answers: 300 ms to the first token, 20 ms for each chunk.
    pub const HUMAN: Self = Self::new(Duration::from_millis(300), Duration::from_millis(20));

    /// A pace of its own.
    #[must_use]
    pub const fn new(first_token: Duration, per_chunk: Duration) -> Self {
        Self {
            first_token,
            per_chunk,
        }
    }

    /// How long a whole reply of this many chunks takes.
    pub(crate) fn whole(self, chunks: usize) -> Duration {
        let further = u32::try_from(chunks.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_token
            .saturating_add(self.per_chunk.saturating_mul(further))
    }
}

impl Default for Pace {
    /// 5 ms to the first token and 1 ms for each chunk: visible in a trace, short in a test.
    fn default() -> Self {
        Self::new(Duration::from_millis(5), Duration::from_millis(1))
    }
}
