//! Whether a service would take a call just now.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{Fault, context};

/// Tells without calling a service whether it would take a call. A circuit breaker's handle is
/// one; a fallback asks it, and passes the candidate over rather than call it in vain.
///
/// Asking reserves nothing: a call that was admitted may still be refused.
pub trait Gate {
    /// Whether a call would be let through at `now`; otherwise why not, and for how long.
    ///
    /// # Errors
    ///
    /// The fault that the call would meet.
    fn admits(&self, now: Instant) -> Result<(), Fault>;

    /// Whether a call would be let through at this moment. It hands back the clock's reading, where
    /// it took one, to be shared with the call.
    ///
    /// # Errors
    ///
    /// The fault that the call would meet.
    fn admits_now(&self) -> Result<Option<Instant>, Fault> {
        let now = context::now();
        self.admits(now).map(|()| Some(now))
    }
}

impl<G: Gate + ?Sized> Gate for Arc<G> {
    fn admits(&self, now: Instant) -> Result<(), Fault> {
        (**self).admits(now)
    }

    fn admits_now(&self) -> Result<Option<Instant>, Fault> {
        (**self).admits_now()
    }
}
