#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod future;

mod breaker;
mod calls;
mod cold;
mod flight;
mod handle;
mod layer;
mod listener;
mod permit;
mod policy;
mod rate;
mod registry;
mod rules;
mod service;
mod settle;
mod snapshot;
mod state;
mod sync;
mod tail;
mod ticket;
mod token;
mod transitions;
mod wait;
mod window;
mod word;

pub use backstop_core::{AtOnce, FaultKind, FaultKinds, Gate, Open, Reason, UntilEnd};

pub use self::{
    breaker::CircuitBreaker,
    handle::{Counts, Isolation},
    layer::CircuitBreakerLayer,
    listener::{Cause, Listener, State, Transition},
    permit::Permit,
    policy::{AT_ONCE, FAILURES, HOLD_OFF, Policy},
    rate::{InvalidPolicy, Rate, Window},
    registry::Registry,
    service::CircuitBreakerService,
    snapshot::{Snapshot, UnknownVersion},
    tail::TailGuard,
    transitions::Transitions,
    wait::{Jitter, OpenWait},
};
