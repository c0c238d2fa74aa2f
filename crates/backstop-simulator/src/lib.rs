#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

mod answer;
mod ask;
mod body;
mod builder;
mod control;
mod dialect;
mod fault;
mod faults;
mod ids;
mod key;
mod log;
mod pace;
mod problem;
mod respond;
mod schema;
mod script;
mod server;
mod simulator;
mod spec;
mod turn;

pub use self::{
    ask::{Ask, Continuation, Format, Tool, ToolChoice},
    builder::Builder,
    dialect::{Dialect, UnknownDialect},
    fault::{Fault, InvalidFault},
    log::{Call, Outcome},
    pace::Pace,
    script::{Reply, Stop, ToolCall},
    simulator::Simulator,
    turn::Prefill,
};
