//! Every public type has a name and the auto traits that its parts allow.

use std::rc::Rc;

use backstop_timeout::{
    AtOnce, Elapsed, Limit, Limits, LimitsFn, Pace, Timeout, TimeoutLayer, UntilEnd,
    future::ResponseFuture,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

assert_impl_all!(TimeoutLayer: Send, Sync, Clone, Copy, std::fmt::Debug, Default);
assert_impl_all!(TimeoutLayer<UntilEnd>: Send, Sync, Clone);
#[cfg(feature = "http")]
assert_impl_all!(TimeoutLayer<UntilEnd, backstop_timeout::FromHttp>: Send, Sync, Clone);
assert_impl_all!(Timeout<()>: Send, Sync, Clone, Unpin, std::fmt::Debug);
assert_impl_all!(ResponseFuture<(), AtOnce>: Send, std::fmt::Debug);
assert_impl_all!(Elapsed: Send, Sync, Clone, std::error::Error);
assert_impl_all!(Limit: Send, Sync, Copy, Eq);
assert_impl_all!(Limits: Send, Sync, Copy, Eq, Default);
assert_impl_all!(LimitsFn<fn()>: Send, Sync, Copy);
assert_impl_all!(Pace: Send);

// A service that is not `Send` stays usable; the layer asks for nothing that it doesn't need.
assert_not_impl_any!(Timeout<Rc<()>>: Send);
assert_not_impl_any!(Timeout<Box<dyn std::fmt::Debug>>: Clone);
