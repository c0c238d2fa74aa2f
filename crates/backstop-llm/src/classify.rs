//! The chat classifier.

use backstop_core::{Classify, Verdict};

use crate::{ChatResponse, Error};

/// The verdict on a call to a model: a response is a success, an error is what it says it is.
///
/// A response that came has been read already as far as its first content, so nothing in it is
/// left to be judged but its tail.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ChatClassifier;

impl ChatClassifier {
    /// The classifier, which has nothing to configure.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Classify<ChatResponse, Error> for ChatClassifier {
    fn classify(&self, result: Result<&ChatResponse, &Error>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(error) => Verdict::Failure(error.fault()),
        }
    }
}
