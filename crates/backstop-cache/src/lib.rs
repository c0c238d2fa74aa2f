#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod future;

mod cache;
mod cached;
mod error;
mod flight;
mod keep;
mod layer;
mod mark;
mod service;

pub use self::{
    cache::Cache,
    cached::Cached,
    error::NotCached,
    keep::{Clones, Keep, KeepFn},
    layer::CacheLayer,
    mark::{Mark, Marked, Unmarked},
    service::Filling,
};
