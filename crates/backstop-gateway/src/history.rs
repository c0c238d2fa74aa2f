//! When circuits changed their state, and why.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backstop_circuit_breaker::{Listener, Transition};
use backstop_core::Name;
use serde::Serialize;
use tokio::{sync::Notify, time::Instant};
use tracing::{info, warn};

/// How far back it goes.
const HOUR: Duration = Duration::from_secs(3_600);

/// How many changes it holds: a circuit that flaps must not fill the memory.
const CHANGES: usize = 2_000;

/// Hears of every circuit, tells the log, and remembers the last hour.
#[derive(Debug, Default)]
pub(crate) struct History {
    changes: Mutex<VecDeque<(Name, Transition)>>,
    changed: Notify,
}

/// One change of a circuit's state.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Change {
    seconds_ago: f64,
    candidate: String,
    from: &'static str,
    to: &'static str,
    cause: &'static str,
    /// How long it was to stay open, where it opened.
    wait_ms: Option<u64>,
}

impl History {
    /// Resolves when a circuit has changed since this was last waited for.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The last hour, the oldest first.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let now = Instant::now();
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes
            .iter()
            .map(|(name, change)| (name, change, now.saturating_duration_since(change.at)))
            .filter(|(.., ago)| *ago <= HOUR)
            .map(|(name, change, ago)| Change {
                seconds_ago: ago.as_secs_f64(),
                candidate: name.to_string(),
                from: change.from.label(),
                to: change.to.label(),
                cause: change.cause.as_str(),
                wait_ms: change.wait.map(|wait| wait.as_millis() as u64),
            })
            .collect()
    }
}

impl Listener for History {
    fn on_transition(&self, name: &Name, change: &Transition) {
        use backstop_circuit_breaker::State;
        match change.to {
            State::Open | State::ForcedOpen => warn!(
                target: "backstop::circuit",
                candidate = &**name,
                from = change.from.label(),
                to = change.to.label(),
                cause = change.cause.as_str(),
                wait_ms = change.wait.map(|wait| wait.as_millis() as u64),
                "a circuit has opened"
            ),
            _ => info!(
                target: "backstop::circuit",
                candidate = &**name,
                from = change.from.label(),
                to = change.to.label(),
                cause = change.cause.as_str(),
                "a circuit has changed its state"
            ),
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.len() == CHANGES {
            changes.pop_front();
        }
        changes.push_back((name.clone(), *change));
        self.changed.notify_one();
    }
}
