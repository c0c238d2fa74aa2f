use std::{error::Error, fmt};

use backstop_core::Name;

/// No candidate could be asked at all: each was disabled, refused by its gate, or not ready. It is
/// the last error of an [`Exhausted`](crate::Exhausted) whose trail tells more.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct NoCandidate;

impl fmt::Display for NoCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no candidate can be asked now")
    }
}

impl Error for NoCandidate {}

/// A list of candidates that no chain can be made of.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidChain {
    /// Two candidates have this name.
    Duplicate(Name),
    /// There are more than [`Chain::MAX`](crate::Chain::MAX) candidates.
    TooMany(usize),
}

impl fmt::Display for InvalidChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(name) => write!(f, "two candidates are named {name:?}"),
            Self::TooMany(count) => write!(f, "{count} candidates are more than a chain can hold"),
        }
    }
}

impl Error for InvalidChain {}

/// A chain has no candidate of this name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownCandidate(pub(crate) Box<str>);

impl UnknownCandidate {
    /// The name that was asked for.
    #[must_use]
    pub const fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnknownCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no candidate named {:?}", self.0)
    }
}

impl Error for UnknownCandidate {}
