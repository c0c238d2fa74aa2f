//! Calls that are over and are yet to be told of: to the metrics, and in one line of the log.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::info;

use crate::{
    call::Call,
    gateway::{Running, Shared},
    ledger, log,
};

/// Calls that are over and are yet to be told of, which is done once their answers have been
/// written: no caller waits for it.
#[derive(Default)]
pub(crate) struct Untold(Mutex<Vec<Ended>>);

/// A call that is over.
pub(crate) struct Ended {
    pub(crate) call: Box<Call>,
    /// What it began with.
    pub(crate) running: Arc<Running>,
}

impl Untold {
    pub(crate) fn add(&self, ended: Ended) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(ended);
    }

    /// Tells of all. Whoever looks at what is told has it told first, and waits where another is at
    /// it: no call is missing whose answer has been seen.
    pub(crate) fn tell(&self, shared: &Shared) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.drain(..).for_each(|ended| ended.tell(shared));
    }
}

impl Ended {
    fn tell(self, shared: &Shared) {
        let Self { call, running } = self;
        let config = &running.config;
        let ledger = ledger::entries(&call, config);
        let cost: f64 = ledger.iter().filter_map(|entry| entry.cost).sum();
        shared.metrics.call(&call, &ledger, &config.currency);
        shared.stats.call(&call);
        running.alerts.call(call.outcome, cost);
        info!(
            target: log::CALL,
            request_id = &*call.id,
            caller = call.caller.as_ref().map(|caller| &*caller.name),
            front = call.front.as_str(),
            model = &*call.model,
            streamed = call.streamed,
            outcome = call.outcome.label(),
            status = call.status,
            served_by = call.served.as_ref().map(tracing::field::display),
            failed = (!call.trail.is_empty()).then(|| tracing::field::display(&call.trail)),
            first_ms = call.answered.map(|it| it.as_millis() as u64),
            total_ms = call.taken.as_millis() as u64,
            input_tokens = call.usage.map(|usage| usage.input),
            output_tokens = call.usage.map(|usage| usage.output),
            cost = (cost > 0.0).then_some(ledger::readable(cost)),
            attempts = tracing::field::display(ledger::Line(&ledger)),
        );
    }
}
