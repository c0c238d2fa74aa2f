//! What a listener hears.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use backstop_circuit_breaker::{Cause, CircuitBreaker, Listener, Reason, State, Transition};
use backstop_core::Name;
use tokio::time::advance;

use crate::support::{OPEN, fail, policy, succeed};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, line: String) {
        self.0.lock().expect("nobody panics with it").push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it"))
    }
}

impl Listener for Log {
    fn on_transition(&self, name: &Name, transition: &Transition) {
        self.write(format!("{name}: {transition}"));
    }

    fn on_exceeded(&self, name: &Name, cause: Cause) {
        self.write(format!("{name}: exceeded, {cause}"));
    }

    fn on_refused(&self, name: &Name, reason: Reason) {
        self.write(format!("{name}: refused, {reason}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_each_transition_once_and_of_refusals() {
    let log = Log::default();
    let breaker = policy().listener(log.clone()).breaker("heard");
    fail(&breaker, 2);
    assert!(breaker.try_acquire().is_err());
    advance(OPEN).await;
    succeed(&breaker, 1);
    let expected = [
        "heard: closed to open: consecutive failures",
        "heard: refused, circuit open",
        "heard: open to half-open: wait over",
        "heard: half-open to closed: probes succeeded",
    ];
    assert_eq!(log.take(), expected);
}

/// Hears how long each wait will be.
#[derive(Clone, Default)]
struct Waits(Arc<Mutex<Vec<Option<Duration>>>>);

impl Listener for Waits {
    fn on_transition(&self, _: &Name, transition: &Transition) {
        let mut waits = self.0.lock().expect("nobody panics with it");
        waits.push(transition.wait);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_how_long_a_circuit_that_opens_will_be_open() {
    let waits = Waits::default();
    let breaker = policy().listener(waits.clone()).breaker("heard");
    fail(&breaker, 2);
    advance(OPEN).await;
    succeed(&breaker, 1);
    let heard = waits.0.lock().expect("nobody panics with it");
    assert_eq!(*heard, [Some(OPEN), None, None]);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_changes_nothing_tells_nothing() {
    let log = Log::default();
    let breaker = policy().listener(log.clone()).breaker("heard");
    breaker.close();
    breaker.reset();
    breaker.disable();
    breaker.disable();
    assert_eq!(log.take(), ["heard: closed to disabled: by hand"]);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_only_counts_tells_once_that_it_would_have_opened() {
    let log = Log::default();
    let breaker = policy().listener(log.clone()).breaker("heard");
    breaker.metrics_only();
    fail(&breaker, 20);
    assert_eq!(breaker.counts().failures, 20);
    let expected = [
        "heard: closed to metrics only: by hand",
        "heard: exceeded, consecutive failures",
    ];
    assert_eq!(log.take(), expected);
}

/// Orders the circuit about from within its own listener.
#[derive(Clone, Default)]
struct Meddler {
    log: Log,
    circuit: Arc<Mutex<Option<CircuitBreaker<Self>>>>,
}

impl Listener for Meddler {
    fn on_transition(&self, name: &Name, transition: &Transition) {
        self.log.on_transition(name, transition);
        let circuit = self.circuit.lock().expect("nobody panics with it").take();
        if let Some(circuit) = circuit {
            assert_eq!(circuit.state(), transition.to);
            circuit.reset();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_ask_the_circuit_and_change_it() {
    let meddler = Meddler::default();
    let breaker = policy().listener(meddler.clone()).breaker("heard");
    *meddler.circuit.lock().unwrap() = Some(breaker.clone());
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Closed);
    let expected = [
        "heard: closed to open: consecutive failures",
        "heard: open to closed: by hand",
    ];
    assert_eq!(meddler.log.take(), expected);
}

/// Panics at the first transition.
#[derive(Clone, Default)]
struct Fragile(Log);

impl Listener for Fragile {
    fn on_transition(&self, name: &Name, transition: &Transition) {
        let first = self.0.0.lock().expect("nobody panics with it").is_empty();
        self.0.on_transition(name, transition);
        if first {
            std::panic::resume_unwind(Box::new("the listener fell over"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_does_not_keep_the_rest_from_being_told() {
    let fragile = Fragile::default();
    let breaker = policy().listener(fragile.clone()).breaker("heard");
    let order = std::panic::AssertUnwindSafe(|| breaker.open_for(OPEN));
    std::panic::catch_unwind(order).unwrap_err();
    breaker.reset();
    assert_eq!(fragile.0.take().len(), 2);
}
