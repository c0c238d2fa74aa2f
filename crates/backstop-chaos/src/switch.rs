use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Turns the faults of a layer on and off, and of all that was made from it. It begins off.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// A switch that is off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets faults happen from now on.
    pub fn turn_on(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Lets every call through from now on.
    pub fn turn_off(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether faults happen.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
