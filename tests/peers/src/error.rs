//! The error type of the services under our own layers, as a user would write it: an enum of one's
//! own that takes in what the layers add.

use backstop_core::{Elapsed, Exhausted, Open};

use crate::bare::Down;

#[derive(Debug)]
#[expect(
    dead_code,
    reason = "nobody looks into the errors: they are only made and dropped"
)]
pub(crate) enum Error {
    Down(Down),
    Elapsed(Elapsed),
    Exhausted(Exhausted),
    Open(Open),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<Down> for Error {
    fn from(error: Down) -> Self {
        Self::Down(error)
    }
}

impl From<Elapsed> for Error {
    fn from(error: Elapsed) -> Self {
        Self::Elapsed(error)
    }
}

impl From<Exhausted> for Error {
    fn from(error: Exhausted) -> Self {
        Self::Exhausted(error)
    }
}

impl From<Open> for Error {
    fn from(error: Open) -> Self {
        Self::Open(error)
    }
}
