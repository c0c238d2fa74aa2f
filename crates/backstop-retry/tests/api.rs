//! Every public type has a name and the auto traits that its parts allow.

use std::{future::Ready, rc::Rc};

use backstop_core::{BoxError, ErrorsAreTransient};
use backstop_retry::{
    Backoff, Budget, ByClone, CloneRequestFn, Exponential, InvalidBackoff, InvalidBudget, Jitter,
    Random, Retry, RetryLayer, backoff::Decorrelated, future::ResponseFuture,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use tower::util::ServiceFn;

type Local = ServiceFn<fn(Rc<()>) -> Ready<Result<Rc<()>, BoxError>>>;
type Sent = ServiceFn<fn(()) -> Ready<Result<(), BoxError>>>;
type Future<S, Request> = ResponseFuture<S, Request, ErrorsAreTransient, Exponential, ByClone>;

assert_impl_all!(RetryLayer: Send, Sync, Clone, std::fmt::Debug, Default);
assert_impl_all!(Retry<()>: Send, Sync, Clone, Unpin, std::fmt::Debug);
assert_impl_all!(Future<Sent, ()>: Send, std::fmt::Debug);
assert_impl_all!(Budget: Send, Sync, Clone, std::fmt::Debug);
assert_impl_all!(ByClone: Send, Sync, Copy, Default);
assert_impl_all!(CloneRequestFn<fn()>: Send, Sync, Copy);
assert_impl_all!(Decorrelated: Send, Sync, Clone, Eq, Backoff);
assert_impl_all!(Exponential: Send, Sync, Clone, Eq, Default, Backoff);
assert_impl_all!(InvalidBackoff: Send, Sync, Copy, Eq, std::error::Error);
assert_impl_all!(InvalidBudget: Send, Sync, Copy, std::error::Error);
assert_impl_all!(Jitter: Send, Sync, Copy, Eq, Default);
assert_impl_all!(Random: Send, Sync, std::fmt::Debug);

// A service that is not `Send` stays usable; the layer asks for nothing that it doesn't need.
assert_impl_all!(Retry<Local>: tower::Service<Rc<()>>);
assert_not_impl_any!(Future<Local, Rc<()>>: Send);
assert_not_impl_any!(Retry<Box<dyn std::fmt::Debug>>: Clone);

#[cfg(feature = "http")]
mod http {
    use backstop_retry::{NotWhole, Replay, ReplayBody};
    use static_assertions::{assert_impl_all, assert_not_impl_any};

    assert_impl_all!(NotWhole: Send, Sync, Copy, Eq, std::error::Error);
    assert_impl_all!(Replay: Send, Sync, Copy, Default);
    assert_impl_all!(ReplayBody<()>: Send, Sync, Clone, Unpin, std::fmt::Debug);
    assert_not_impl_any!(ReplayBody<std::rc::Rc<()>>: Send);
}
