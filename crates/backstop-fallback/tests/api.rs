//! Every public type can be named, and is `Send` and `Sync` where what it holds is.

use std::{cell::Cell, future::Ready};

use backstop_core::{BoxError, ErrorsAreTransient};
use backstop_fallback::{
    Candidate, Chain, FAIL_OVER, Fallback, FallbackLayer, Handle, Hedged, InvalidChain, MapFn,
    NoCandidate, Same, Ungated, UnknownCandidate,
    chain::{ChainFuture, HedgedFuture, Profile},
    future::ResponseFuture,
    order::{ByKey, Cheapest, Fastest, Latency, Left, Priority, Weighted},
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

#[derive(Clone)]
struct Request;
struct Backup;
type Reply = Ready<Result<(), BoxError>>;

// Nothing is asked of the request or the response for a Layer to be shared.
assert_impl_all!(FallbackLayer<fn()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Fallback<(), ()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Fallback<(), (), ErrorsAreTransient, Same, Ungated>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ResponseFuture<Reply, Reply, Backup, Request, ErrorsAreTransient, Same>: Send, Sync, std::fmt::Debug);
assert_not_impl_any!(FallbackLayer<*const ()>: Send);

assert_impl_all!(Candidate<()>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Chain<()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Chain<Cell<()>, MapFn<fn(u8) -> u8>, ErrorsAreTransient, Weighted>: Clone, std::fmt::Debug);
assert_impl_all!(Handle<()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ChainFuture<(), Reply, Same, ErrorsAreTransient, Priority, Request>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Profile: Send, Sync, std::fmt::Debug);

assert_impl_all!(Priority: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Weighted: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Cheapest: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Fastest: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ByKey<fn(&Profile) -> u64>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Latency: Send, Sync, std::fmt::Debug);
assert_impl_all!(Left<'static>: std::fmt::Debug);

assert_impl_all!(InvalidChain: std::error::Error, Clone, Eq, Send, Sync);
assert_impl_all!(UnknownCandidate: std::error::Error, Clone, Eq, Send, Sync);
assert_impl_all!(NoCandidate: std::error::Error, Clone, Eq, Send, Sync);

#[test]
fn fails_over_on_kinds_that_can_be_named_at_compile_time() {
    const WITHOUT_LIMITS: backstop_core::FaultKinds =
        FAIL_OVER.without(backstop_core::FaultKind::RateLimited);
    assert!(WITHOUT_LIMITS.contains(backstop_core::FaultKind::Connect));
}

assert_impl_all!(Hedged<()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(HedgedFuture<(), Reply, Same, ErrorsAreTransient, Priority, Request>: Send, Sync, std::fmt::Debug);
