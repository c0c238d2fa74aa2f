//! The circuit breakers once more, for what is asked of them alone.

use super::{
    others::{failsafe, failsafe_default, recloser},
    resilience::{breaker, consecutive_breaker, default_breaker},
};
use crate::{
    bare::{Bare, Down, Up},
    circuit::Circuit,
};

/// The circuits whose name has `filter` in it.
pub(crate) fn circuits(filter: &str) -> Vec<Circuit> {
    let up = || Bare::<u64, Up, Down>::new(Up);
    let mut circuits = vec![
        Circuit::new("failsafe, consecutive", move || failsafe(up())),
        Circuit::new("failsafe, default", move || failsafe_default(up())),
        Circuit::new("recloser", move || recloser(0.5, up())),
        Circuit::new("tower-resilience circuitbreaker, consecutive", move || {
            breaker(consecutive_breaker(), up())
        }),
        Circuit::new("tower-resilience circuitbreaker, default", move || {
            breaker(default_breaker(), up())
        }),
    ];
    circuits.retain(|circuit| circuit.name.contains(filter));
    circuits
}
