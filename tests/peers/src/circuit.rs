//! What is asked of circuit breakers alone: how they bear two threads, and what they hold.

use std::{sync::Barrier, thread, time::Duration};

use tokio::time::Instant;
use tower_service::Service;

use crate::{bare::Call, row::drive};

const RUNS: usize = 15;
const RUN: Duration = Duration::from_millis(20);

/// A caller of a circuit: makes this many calls.
type Caller = Box<dyn FnMut(u64) + Send>;

/// A kind of circuit breaker.
pub(crate) struct Circuit {
    pub(crate) name: &'static str,
    /// Two callers of a new circuit.
    make: Box<dyn Fn() -> [Caller; 2]>,
    /// What a caller itself takes on the heap.
    caller: usize,
}

impl Circuit {
    pub(crate) fn new<S>(name: &'static str, make: impl Fn() -> S + 'static) -> Self
    where
        S: Service<Call> + Clone + Send + 'static,
    {
        Self {
            name,
            make: Box::new(move || {
                let service = make();
                [service.clone(), service].map(|mut service| -> Caller {
                    Box::new(move |calls| {
                        drive(&mut service, false, calls);
                    })
                })
            }),
            caller: size_of::<S>(),
        }
    }

    /// Bytes on the heap that the circuit takes when it is new, and after 1000 calls. `live` tells
    /// how many bytes are in use.
    pub(crate) fn memory(&self, live: impl Fn() -> usize) -> [usize; 2] {
        let before = live() + 2 * self.caller;
        let [mut caller, _other] = (self.make)();
        let fresh = live() - before;
        caller(1_000);
        [fresh, live() - before]
    }

    /// Million calls per second in all, by one thread and by two: the best run, and the median. Two
    /// threads are best where the machine has let them take turns, so the median says more.
    pub(crate) fn throughput(&self) -> [[f64; 2]; 2] {
        let [mut one, mut other] = (self.make)();
        let probe = seconds(&mut one, 1_000) / 1_000.0;
        let calls = (RUN.as_secs_f64() / probe) as u64;
        let runs: [(f64, f64); RUNS] = std::array::from_fn(|_| {
            let alone = calls as f64 / seconds(&mut one, calls);
            let together = 2.0 * calls as f64 / together(&mut one, &mut other, calls);
            (alone / 1e6, together / 1e6)
        });
        let runs = [
            runs.map(|(alone, _)| alone),
            runs.map(|(_, together)| together),
        ];
        runs.map(|mut runs| {
            runs.sort_by(f64::total_cmp);
            [runs[RUNS - 1], runs[RUNS / 2]]
        })
    }
}

fn seconds(caller: &mut Caller, calls: u64) -> f64 {
    let start = Instant::now();
    caller(calls);
    start.elapsed().as_secs_f64()
}

/// The time until both threads are done, from the moment that both are there to begin.
fn together(one: &mut Caller, other: &mut Caller, calls: u64) -> f64 {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            barrier.wait();
            other(calls);
        });
        barrier.wait();
        let start = Instant::now();
        one(calls);
        start
    })
    .elapsed()
    .as_secs_f64()
}
