#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod callers;
pub mod cli;
pub mod config;
pub mod demo;
pub mod drill;
pub mod log;
pub mod probe;
pub mod reload;
pub mod review;
pub mod server;
pub mod state;
pub mod text;

mod account;
mod alerts;
mod call;
mod changes;
mod content;
mod fixed;
mod gateway;
mod given_up;
mod history;
mod in_flight;
mod ledger;
mod metrics;
mod operator;
mod parts;
mod request_id;
mod routing;
mod stack;
mod stats;
mod trace;
mod untold;

pub use self::gateway::{AdminServer, Gateway};
