#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod future;

mod cut;
#[cfg(feature = "http")]
mod from_http;
mod layer;
mod limits;
mod pace;
mod readiness;
mod service;

pub use backstop_core::{AtOnce, Elapsed, Limit, UntilEnd};

#[cfg(feature = "http")]
pub use self::from_http::FromHttp;
pub use self::{
    layer::TimeoutLayer,
    limits::{Limits, LimitsFn, LimitsFor},
    pace::{Items, Pace, Paced},
    service::Timeout,
};
