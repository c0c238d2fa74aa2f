use std::{error::Error, fmt};

use backstop_core::{Fault, FaultKind};

/// There is no answer in the cache, or only one that is too old. Made by
/// [`Cached`](crate::Cached).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotCached;

impl NotCached {
    /// The fault that this error is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::new(FaultKind::Refused).because("not cached")
    }
}

impl fmt::Display for NotCached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer is cached, or only one that is too old")
    }
}

impl Error for NotCached {}
