use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::Transition;

/// Follows the changes of a circuit's state: [`CircuitBreaker::transitions`](crate::CircuitBreaker::transitions).
///
/// A follower that falls behind by more than 32 misses the oldest and is told how many.
#[derive(Debug)]
pub struct Transitions {
    receiver: Receiver<Transition>,
    missed: u64,
}

impl Transitions {
    pub(crate) const fn new(receiver: Receiver<Transition>) -> Self {
        Self {
            receiver,
            missed: 0,
        }
    }

    /// Waits for the next change; none once the circuit is gone. To drop the wait loses nothing.
    pub async fn next(&mut self) -> Option<Transition> {
        loop {
            match self.receiver.recv().await {
                Ok(transition) => return Some(transition),
                Err(RecvError::Lagged(missed)) => self.missed = self.missed.saturating_add(missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many changes it has missed.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}
