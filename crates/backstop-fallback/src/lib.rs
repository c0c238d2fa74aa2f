#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod chain;
pub mod future;
pub mod order;

mod asked;
mod error;
mod gate;
mod layer;
mod map;
mod policy;
mod service;

pub use backstop_core::{Exhausted, Gate};

pub use self::{
    chain::{Candidate, Chain, Handle, Hedged},
    error::{InvalidChain, NoCandidate, UnknownCandidate},
    gate::Ungated,
    layer::FallbackLayer,
    map::{MapFn, MapRequest, Same},
    policy::{FAIL_OVER, OUTRUN},
    service::Fallback,
};
