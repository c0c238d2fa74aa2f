#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod future;
#[cfg(feature = "http")]
pub mod http;

mod layer;
mod mishap;
mod plan;
mod service;
mod switch;

pub use self::{
    layer::ChaosLayer,
    mishap::Mishap,
    plan::{InvalidOdds, Plan},
    service::Chaos,
    switch::Switch,
};
