#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(
    no_crate_inject,
    attr(deny(warnings), allow(dead_code, unused_variables))
))]

pub mod context;
pub mod tail;

mod absorb;
mod budget;
mod classify;
mod deadline;
mod error;
mod fault;
mod gate;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
pub mod http;
mod retry_after;
mod served_by;
mod span;
mod timer;
mod trail;

#[cfg(feature = "grpc")]
pub use self::grpc::{GrpcHttp, GrpcStatus};
#[cfg(feature = "http")]
pub use self::http::HttpStatus;
pub use self::{
    absorb::{Absorb, AbsorbFuture, AbsorbLayer, Lift, LiftFuture},
    budget::{Budget, InvalidBudget, Spent, Withdrawal},
    classify::{Classify, ClassifyFn, ErrorsAreTransient, Verdict, classify_fn},
    deadline::Deadline,
    error::{BoxError, Elapsed, Exhausted, Limit, Open, Reason},
    fault::{Fault, FaultKind, FaultKinds},
    gate::Gate,
    retry_after::RetryHint,
    served_by::{ServedBy, Stamp, Stamped, StampedError},
    tail::{AtOnce, Completes, End, Tail, UntilEnd, Watch},
    timer::Timer,
    trail::{Attempt, Name, Trail},
};
