//! Calls that are over and are yet to be told of: to the metrics, and in one line of the log.

use std::{
    array,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::info;

use crate::{
    call::Call,
    gateway::{Running, Shared},
    ledger, log,
};

/// Calls that are over and are yet to be told of, which is done once their answers have been
/// written: no caller waits for it.
///
/// Each thread has a list of its own. With a single one, each would wait for what the others tell.
pub(crate) struct Untold([List; LISTS]);

type List = Mutex<Vec<Ended>>;

/// Where there are more threads than lists, some of them share one.
const LISTS: usize = 64;

thread_local! {
    /// The number of the thread's list.
    static OWN: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % LISTS
    };
}

/// A call that is over.
pub(crate) struct Ended {
    pub(crate) call: Box<Call>,
    /// What it began with.
    pub(crate) running: Arc<Running>,
}

impl Untold {
    pub(crate) fn add(&self, ended: Ended) {
        lock(self.own()).push(ended);
    }

    /// Tells of the calls that ended on this thread.
    pub(crate) fn tell_own(&self, shared: &Shared) {
        tell(self.own(), shared);
    }

    /// Tells of all, and waits where another is at it: to whoever looks afterwards no call is
    /// missing whose answer has been seen.
    pub(crate) fn tell(&self, shared: &Shared) {
        self.0.iter().for_each(|list| tell(list, shared));
    }

    fn own(&self) -> &List {
        // A thread that is about to end has no number any more.
        &self.0[OWN.try_with(|own| *own).unwrap_or_default()]
    }
}

impl Default for Untold {
    fn default() -> Self {
        Self(array::from_fn(|_| List::default()))
    }
}

fn tell(list: &List, shared: &Shared) {
    lock(list).drain(..).for_each(|ended| ended.tell(shared));
}

fn lock(list: &List) -> MutexGuard<'_, Vec<Ended>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
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
