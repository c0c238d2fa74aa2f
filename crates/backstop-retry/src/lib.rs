#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod backoff;
pub mod future;

mod asked;
mod call;
mod jitter;
mod layer;
mod policy;
mod random;
#[cfg(feature = "http")]
mod replay;
mod request;
mod service;
mod waits;

pub use backstop_core::{Budget, InvalidBudget};

#[cfg(feature = "http")]
pub use self::replay::{NotWhole, Replay, ReplayBody};
pub use self::{
    backoff::{Backoff, Exponential, InvalidBackoff},
    jitter::Jitter,
    layer::RetryLayer,
    policy::{RETRY, RETRY_ON_HINT},
    random::Random,
    request::{ByClone, CloneRequest, CloneRequestFn},
    service::Retry,
};
