//! Every public type can be named, and is `Send` and `Sync` where what it holds is.

use backstop_core::BoxError;
use backstop_served_by::{
    Served, ServedBy, ServedByLayer, Stamp, StampService, StampedError,
    future::ResponseFuture,
    place::{Beside, InPlace, Nowhere, PutFn},
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

type Reply = std::future::Ready<Result<(), BoxError>>;

assert_impl_all!(ServedByLayer: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ServedByLayer<PutFn<fn()>, InPlace>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(StampService<(), Beside, InPlace>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ResponseFuture<Reply, InPlace, Nowhere>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Served<()>: Clone, Send, Sync, Stamp, std::fmt::Debug);
assert_impl_all!(ServedBy: Clone, Send, Sync, std::fmt::Display);
assert_impl_all!(BoxError: Stamp);
assert_impl_all!(StampedError: Send, Sync, std::error::Error);
assert_not_impl_any!(StampService<*const ()>: Send);

#[cfg(feature = "http")]
mod http {
    use backstop_served_by::{
        EdgeLayer, Stamp,
        edge::{Edge, EdgeFuture},
    };
    use static_assertions::assert_impl_all;

    assert_impl_all!(EdgeLayer: Copy, Send, Sync, std::fmt::Debug);
    assert_impl_all!(Edge<()>: Clone, Send, Sync, std::fmt::Debug);
    assert_impl_all!(EdgeFuture<super::Reply>: Send, Sync, std::fmt::Debug);
    assert_impl_all!(::http::Response<*const ()>: Stamp);
}
