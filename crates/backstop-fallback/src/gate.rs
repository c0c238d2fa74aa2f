use backstop_core::{Fault, Gate};
use tokio::time::Instant;

/// No gate: the candidate is always called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ungated;

impl Gate for Ungated {
    #[inline]
    fn admits(&self, _now: Instant) -> Result<(), Fault> {
        Ok(())
    }

    #[inline]
    fn admits_now(&self) -> Result<Option<Instant>, Fault> {
        Ok(None)
    }
}
