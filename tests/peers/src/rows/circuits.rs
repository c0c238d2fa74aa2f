//! The circuit breakers once more, for what is asked of them alone.

use std::{num::NonZeroU16, time::Duration};

use backstop_circuit_breaker::{Policy, Window};

use super::{
    backstop,
    others::{failsafe, failsafe_default, recloser},
    resilience::{breaker, consecutive_breaker, default_breaker},
};
use crate::{
    bare::{Bare, Down, Up},
    circuit::Circuit,
    error::Error,
};

/// The circuits whose name has `filter` in it.
pub(crate) fn circuits(filter: &str) -> Vec<Circuit> {
    let up = || Bare::<u64, Up, Down>::new(Up);
    let ours = || Bare::<u64, Up, Error>::new(Up);
    let mut circuits = vec![
        Circuit::new("backstop circuit breaker, consecutive", move || {
            backstop::breaker(backstop::consecutive(), ours())
        }),
        Circuit::new("backstop circuit breaker, default", move || {
            backstop::breaker(Policy::new(), ours())
        }),
        Circuit::new("backstop circuit breaker, window of 1 h", move || {
            let hour = Window::time(Duration::from_secs(60 * 60));
            backstop::breaker(Policy::new().window(hour), ours())
        }),
        Circuit::new("backstop circuit breaker, last 1000 calls", move || {
            let thousand = Window::calls(NonZeroU16::new(1000).expect("a thousand is not zero"));
            backstop::breaker(Policy::new().window(thousand), ours())
        }),
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
