//! The public types and what they can be trusted to be.

use backstop_llm::{
    Abilities, Chat, ChatClassifier, ChatRequest, ChatResponse, ChatStream, Completion, Continue,
    ContinueLayer, Error, Json, Model, Provider, ProviderBuilder, Secret,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

assert_impl_all!(ChatRequest: Clone, Send, Sync);
assert_impl_all!(Chat: Clone, Default, PartialEq, Send, Sync);
assert_impl_all!(ChatResponse: Send);
assert_impl_all!(ChatStream: Send, Unpin);
assert_impl_all!(Completion: Clone, PartialEq, Send, Sync);
assert_impl_all!(Error: std::error::Error, Send, Sync);
assert_impl_all!(Model: Clone, Send, Sync);
assert_impl_all!(Provider: Clone, Send, Sync);
assert_impl_all!(ProviderBuilder: Clone, Send);
assert_impl_all!(Continue<Model>: Clone, Send, Sync);
assert_impl_all!(ContinueLayer: Clone, Copy, Send, Sync);
assert_impl_all!(Abilities: Copy, Send, Sync);
assert_impl_all!(ChatClassifier: Copy, Send, Sync);
assert_impl_all!(Json: Clone, Send, Sync);
assert_not_impl_any!(Secret: std::fmt::Display, serde::Serialize);

#[test]
fn an_error_is_one_word_wide() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}
