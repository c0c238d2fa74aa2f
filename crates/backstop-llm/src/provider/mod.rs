//! Providers, and their models as tower services.

mod address;
mod alike;
mod body;
mod builder;
mod cause;
mod commit;
mod model;
mod upstream;
#[cfg(feature = "validate")]
mod validate;

use std::sync::Arc;

use backstop_core::Name;
use http::HeaderMap;

pub use self::{
    builder::{InvalidProvider, ProviderBuilder},
    commit::Commit,
    model::{Model, SystemPrompt},
};
use crate::{Dialect, Secret, dialect::Wire, transport::Client};

/// A provider of language models: one dialect, one place, one credential, one pool of connections.
///
/// It is cheap to clone, and clones share the pool. [`model`](Self::model) makes the tower service
/// that a stack of layers is put round.
///
/// ```
/// use backstop_llm::{Dialect, Provider};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let vllm = Provider::builder(Dialect::OpenAi)
///     .name("vllm")
///     .base_url("http://127.0.0.1:8000/v1")
///     .build()?;
/// let service = vllm.model("Qwen/Qwen3-8B");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Provider {
    inner: Arc<Inner>,
}

struct Inner {
    name: Name,
    wire: &'static dyn Wire,
    base_url: String,
    query: Option<String>,
    headers: HeaderMap,
    /// All that is secret in a request. Some servers tell it back in their errors.
    secrets: Vec<Secret>,
    client: Client,
    max_answer: usize,
    max_event: usize,
    stream_usage: bool,
}

impl Provider {
    /// A provider of this dialect, yet to be described.
    pub fn builder(dialect: Dialect) -> ProviderBuilder {
        ProviderBuilder::new(dialect)
    }

    /// Anthropic, with this key.
    ///
    /// # Errors
    ///
    /// The key can't be a header, or no TLS can be had.
    pub fn anthropic(key: impl Into<Secret>) -> Result<Self, InvalidProvider> {
        Self::builder(Dialect::Anthropic).api_key(key).build()
    }

    /// OpenAI, with this key.
    ///
    /// # Errors
    ///
    /// The key can't be a header, or no TLS can be had.
    pub fn openai(key: impl Into<Secret>) -> Result<Self, InvalidProvider> {
        Self::builder(Dialect::OpenAi).api_key(key).build()
    }

    /// What it is called: in the names of its models, in errors.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.inner.name
    }

    /// The dialect it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.inner.wire.dialect()
    }

    /// One of its models, as a service.
    #[must_use]
    pub fn model(&self, model: &str) -> Model {
        Model::new(self.clone(), model)
    }

    /// Where a request to this path goes. A base URL may hold `{model}`, as Azure's does.
    fn url(&self, model: &str, path: &str) -> String {
        let Inner {
            base_url, query, ..
        } = &*self.inner;
        let mut url = if base_url.contains("{model}") {
            base_url.replace("{model}", model)
        } else {
            base_url.clone()
        };
        url.push_str(path);
        if let Some(query) = query {
            url.push(if path.contains('?') { '&' } else { '?' });
            url.push_str(query);
        }
        url
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The query may hold a credential, and so may the headers.
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("dialect", &self.wire.dialect())
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}
