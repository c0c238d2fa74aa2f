#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

#[cfg(feature = "http")]
pub mod edge;
pub mod future;
pub mod place;

mod layer;
mod service;

pub use backstop_core::{ServedBy, Stamp, StampedError};

#[cfg(feature = "http")]
pub use self::edge::EdgeLayer;
pub use self::{layer::ServedByLayer, place::Served, service::StampService};
