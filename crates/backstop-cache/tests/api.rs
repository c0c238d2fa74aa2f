//! Every public type can be named, and is `Send` and `Sync` where what it holds is.

use backstop_cache::{
    Cache, CacheLayer, Cached, Clones, Filling, KeepFn, Marked, NotCached, Unmarked,
    future::ResponseFuture,
};
use backstop_core::{BoxError, ErrorsAreTransient};
use static_assertions::{assert_impl_all, assert_not_impl_any};

type Answers = Cache<u32, String>;
type Reply = std::future::Ready<Result<String, BoxError>>;

assert_impl_all!(Answers: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Cache<u32, String, KeepFn<fn(), fn()>>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(CacheLayer<Answers, fn(&u32) -> Option<u32>>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Filling<(), Answers, ()>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Cached<Answers, (), std::rc::Rc<()>, std::rc::Rc<()>>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(Cached<Answers, (), (), (), Unmarked>: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ResponseFuture<(), Reply, u32, u32, String, Clones, ErrorsAreTransient>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Marked: Copy, Send, Sync, std::fmt::Debug);
assert_impl_all!(NotCached: std::error::Error, Copy, Send, Sync);
assert_not_impl_any!(Filling<*const (), Answers, ()>: Send);
