//! One model of a provider, as a tower service.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use backstop_core::{Fault, FaultKind, Name, RetryHint};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;
use tower_service::Service;

use super::{
    Inner, Provider,
    address::Address,
    body::{is_page, is_stream, no_answer, peek, read_body, request_id},
    commit::{Check, Commit, commit, is_empty_answer},
    upstream::Upstream,
};
use crate::{
    Abilities, ChatBody, ChatRequest, ChatResponse, ChatStream, Dialect, Error, Needs, Raw,
    plan::Plan,
    transport::{Answer, Body, Headers, Request},
};

/// How much of an error answer is read.
const MAX_ERROR: usize = 256 * 1024;

/// One model of a provider, as a tower service: the innermost of a stack.
///
/// It asks its own model, whatever model the request names. What the model can't do is refused
/// without a call ([`Abilities`]), so that the next candidate is asked instead. A streamed call
/// resolves at its [`Commit`] point.
///
/// A [`HeaderMap`] in the request's extensions is sent along, a `traceparent` say; it takes nothing
/// from the provider's own headers.
///
/// It sets no limit of time and tries nothing again: that is the layers' part. Dropping a call, or
/// the stream it returned, cancels the request.
#[derive(Clone, Debug)]
pub struct Model {
    inner: Arc<Config>,
}

#[derive(Clone, Debug)]
struct Config {
    provider: Provider,
    model: String,
    name: Name,
    abilities: Abilities,
    allow_loss: Needs,
    system: Option<SystemPrompt>,
    commit: Commit,
    address: Address,
    #[cfg(feature = "validate")]
    validate: bool,
}

/// The system prompt that a model is given instead of the caller's, because models read
/// instructions differently.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SystemPrompt {
    /// This one.
    Replace(String),
    /// This one, with the caller's in place of `{system}`.
    Template(String),
}

impl SystemPrompt {
    fn apply(&self, own: Option<String>) -> String {
        match self {
            Self::Replace(text) => text.clone(),
            Self::Template(text) => text
                .replace("{system}", own.as_deref().unwrap_or_default())
                .trim()
                .to_owned(),
        }
    }
}

impl Model {
    pub(super) fn new(provider: Provider, model: &str) -> Self {
        let config = Config {
            name: format!("{}:{model}", provider.name()).into(),
            abilities: Abilities::of(provider.dialect(), model),
            model: model.to_owned(),
            provider,
            allow_loss: Needs::NONE,
            system: None,
            commit: Commit::default(),
            address: Address::default(),
            #[cfg(feature = "validate")]
            validate: false,
        };
        Self {
            inner: Arc::new(config),
        }
    }

    /// What the candidate is called; by default by its provider and model:
    /// `anthropic:claude-opus-4-8`.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        self.set(|config| config.name = name.into())
    }

    /// What the model can do; by default what is known of its family.
    #[must_use]
    pub fn abilities(self, abilities: Abilities) -> Self {
        self.set(|config| config.abilities = abilities)
    }

    /// What may be left out of a request, where the model lacks it; by default nothing.
    #[must_use]
    pub fn allow_loss(self, needs: Needs) -> Self {
        self.set(|config| config.allow_loss = needs)
    }

    /// The system prompt that the model is given instead of the caller's.
    #[must_use]
    pub fn system(self, system: SystemPrompt) -> Self {
        self.set(|config| config.system = Some(system))
    }

    /// When a streamed call is held to have succeeded; by default at its first content.
    #[must_use]
    pub fn commit(self, at: Commit) -> Self {
        self.set(|config| config.commit = at)
    }

    /// Whether an answer must match the JSON schema that was asked for; by default the provider is
    /// trusted with that. One that does not match is `Malformed`, so that another candidate is
    /// asked; to know it, a streamed answer is held back until its end.
    #[cfg(feature = "validate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "validate")))]
    #[must_use]
    pub fn validate(self, validate: bool) -> Self {
        self.set(|config| config.validate = validate)
    }

    /// What the candidate is called.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.inner.name
    }

    /// What its provider calls the model: `claude-opus-4-8`.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.inner.model
    }

    /// The dialect that it is asked in.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.inner.provider.dialect()
    }

    /// What the model can do.
    #[must_use]
    pub fn get_abilities(&self) -> &Abilities {
        &self.inner.abilities
    }

    /// Whether the request would be sent, without sending it: what [`call`](Service::call) checks
    /// first.
    ///
    /// # Errors
    ///
    /// The model can't do what is asked, or not at this length.
    pub fn admits(&self, request: &ChatRequest) -> Result<(), Error> {
        self.inner.plan(request).map(|_| ())
    }

    fn set(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.inner));
        self
    }
}

impl Service<ChatRequest> for Model {
    type Response = ChatResponse;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<ChatResponse, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ChatRequest) -> Self::Future {
        let config = Arc::clone(&self.inner);
        Box::pin(async move {
            let began = Instant::now();
            config.send(request).await.map_err(|error| {
                error
                    .without(&config.provider.inner.secrets)
                    .with_provider(config.name.clone())
                    .with_elapsed(began.elapsed())
            })
        })
    }
}

impl Config {
    fn plan(&self, request: &ChatRequest) -> Result<Plan, Error> {
        if request.avoids(&self.name) {
            return Err(Error::refused("not to be asked again"));
        }
        let dialect = self.provider.dialect();
        let mut plan = Plan::new(request, dialect, &self.abilities, self.allow_loss)?;
        if self.model != request.model() {
            plan.model = Some(self.model.clone());
        }
        if let Some(system) = &self.system {
            plan.system = Some(system.apply(request.chat().system_text()));
        }
        plan.stream_usage = self.provider.inner.stream_usage;
        Ok(plan)
    }

    async fn send(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let sent = self.written(&request)?;
        let answered = self.provider.inner.client.send(&sent).await;
        // What was asked is not kept for as long as the answer takes.
        drop(sent);
        let Answer {
            status,
            headers,
            body,
        } = answered.map_err(no_answer)?;
        let streamed = request.is_streamed();
        let check = self.check(&request);
        drop(request);
        if !status.is_success() {
            return Err(Box::pin(self.refused(status, headers.map(), body)).await);
        }
        if streamed {
            let (begun, body) = peek(body).await?;
            if is_stream(&begun) {
                // Boxed like the refusal above, so that a plain answer takes no room for it.
                return Box::pin(self.stream(headers, begun, body, check)).await;
            }
            return self.whole(headers, begun, body, true, check).await;
        }
        self.whole(headers, Bytes::new(), body, false, check).await
    }

    /// What the provider is sent.
    fn written(&self, request: &ChatRequest) -> Result<Request, Error> {
        let Inner { wire, headers, .. } = &*self.provider.inner;
        let encoded = wire.encode(request, &self.plan(request)?)?;
        let mut headers = headers.clone();
        let own = request.extensions().get::<HeaderMap>();
        for (name, value) in encoded.headers.iter().chain(own.into_iter().flatten()) {
            headers.entry(name).or_insert(value.clone());
        }
        let mut sent = Request::new(encoded.body);
        *sent.method_mut() = Method::POST;
        *sent.uri_mut() = self
            .address
            .of(encoded.path, |path| self.provider.url(&self.model, path))?;
        *sent.headers_mut() = headers;
        Ok(sent)
    }

    /// What an answer to this request is held against.
    #[cfg(feature = "validate")]
    fn check(&self, request: &ChatRequest) -> Option<Check> {
        if !self.validate {
            return None;
        }
        let schema = super::validate::Schema::of(request)?;
        Some(Box::new(move |completion| schema.check(completion)))
    }

    #[cfg(not(feature = "validate"))]
    fn check(&self, _: &ChatRequest) -> Option<Check> {
        None
    }

    /// The provider answered with an error.
    async fn refused(&self, status: StatusCode, headers: &HeaderMap, body: Body) -> Error {
        let body = match read_body(Bytes::new(), body, MAX_ERROR).await {
            Ok((body, _)) => body,
            // The status says enough, whatever becomes of the body.
            Err(_) => Bytes::new(),
        };
        let error = if status.is_client_error() || status.is_server_error() {
            let error = self.provider.inner.wire.error(status, headers, &body);
            error.with_hint(RetryHint::from_headers(headers))
        } else {
            let fault = Fault::new(FaultKind::Malformed).with_status(status.as_u16());
            Error::new(
                fault,
                "the provider answered with neither an answer nor an error",
            )
        };
        match request_id(headers) {
            Some(id) if error.request_id().is_none() => error.with_request_id(id),
            _ => error,
        }
    }

    async fn whole(
        &self,
        headers: Headers,
        begun: Bytes,
        body: Body,
        streamed: bool,
        check: Option<Check>,
    ) -> Result<ChatResponse, Error> {
        let Inner {
            wire, max_answer, ..
        } = &*self.provider.inner;
        let (bytes, complete) = read_body(begun, body, *max_answer).await?;
        if !complete {
            return Err(Error::malformed("the answer is larger than allowed"));
        }
        if is_page(&bytes) {
            return Err(Error::malformed("the answer is a web page"));
        }
        let completion = wire.decode(&bytes)?;
        let empty = completion.choices.iter().all(|choice| {
            choice.content.is_empty() && is_empty_answer(&choice.finish, completion.usage)
        });
        if empty {
            return Err(Error::malformed("the answer is empty"));
        }
        if let Some(check) = check {
            check(&completion)?;
        }
        let model = self.answered(&completion.model);
        let body = if streamed {
            // The server does not stream; the caller gets one all the same.
            ChatBody::Stream(ChatStream::of(completion))
        } else {
            let raw = Raw {
                dialect: wire.dialect(),
                bytes,
            };
            ChatBody::Whole(Arc::new(completion), Some(raw))
        };
        Ok(ChatResponse::new(model, body).with_headers(headers))
    }

    async fn stream(
        &self,
        headers: Headers,
        begun: Bytes,
        body: Body,
        check: Option<Check>,
    ) -> Result<ChatResponse, Error> {
        let Inner {
            wire, max_event, ..
        } = &*self.provider.inner;
        let upstream = Upstream::new(
            &begun,
            body,
            *max_event,
            wire.decoder(),
            wire.dialect(),
            self.name.clone(),
            self.provider.clone(),
        );
        let upstream = commit(upstream, self.commit, check).await?;
        let model = self.answered(upstream.model.as_deref().unwrap_or_default());
        let response = ChatResponse::stream(model, ChatStream::new(upstream));
        Ok(response.with_headers(headers))
    }

    /// The model that answered, by the provider's account, or else the one that was asked.
    fn answered(&self, model: &str) -> Name {
        if model.is_empty() { &self.model } else { model }.into()
    }
}
