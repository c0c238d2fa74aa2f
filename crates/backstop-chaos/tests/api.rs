//! Every public type can be named, and is `Send` and `Sync` where what it holds is.

use backstop_chaos::{
    Chaos, ChaosLayer, InvalidOdds, Mishap, Plan, Switch, future::ResponseFuture,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

/// Neither a response nor an error need be `Clone`, `Send` or `Sync`.
type Response = std::rc::Rc<()>;

assert_impl_all!(ChaosLayer<Response, Response>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Chaos<(), Response, Response>: Clone, Send, Sync, std::fmt::Debug);
assert_not_impl_any!(Chaos<*const (), (), ()>: Send);
assert_impl_all!(Mishap<Response, Response>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Plan<()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Switch: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(InvalidOdds: std::error::Error, Send, Sync);
assert_impl_all!(ResponseFuture<std::future::Pending<Result<(), ()>>, (), ()>: Send, Sync, std::fmt::Debug);

#[cfg(feature = "http")]
mod http {
    use backstop_chaos::http::{
        ChaosBody, Reply, Reset, TailChaos, TailChaosLayer, TailFault, TailFuture,
    };
    use static_assertions::assert_impl_all;

    assert_impl_all!(TailChaosLayer: Clone, Send, Sync, std::fmt::Debug);
    assert_impl_all!(TailChaos<()>: Clone, Send, Sync, std::fmt::Debug);
    assert_impl_all!(TailFuture<()>: Send, Sync, std::fmt::Debug);
    assert_impl_all!(ChaosBody<()>: Send, Sync, std::fmt::Debug);
    assert_impl_all!(Reply<()>: Clone, Send, Sync, std::fmt::Debug);
    assert_impl_all!(TailFault: Copy, Eq, Send, Sync);
    assert_impl_all!(Reset: std::error::Error, Copy, Send, Sync);
}
