//! What goes wrong with a call to a model.

mod sanitise;
mod unable;
pub(crate) mod view;
pub(crate) mod words;

use std::{fmt, iter, time::Duration};

use backstop_core::{
    BoxError, Elapsed, Exhausted, Fault, FaultKind, Name, Open, RetryHint, ServedBy, Stamp, Trail,
};
use http::StatusCode;

pub use self::sanitise::sanitise;
use crate::{Secret, Usage};

/// A call to a model failed.
///
/// It says what kind of failure it was, to the layers, and the provider's own words, to a person.
/// These have been cleared of whatever looks like a key or an internal address.
///
/// `source()` leads on to what caused it: a [`std::io::Error`], an [`Exhausted`].
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    fault: Fault,
    message: String,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    provider: Option<Name>,
    request_id: Option<String>,
    elapsed: Option<Duration>,
    usage: Option<Usage>,
    served_by: Option<ServedBy>,
    source: Option<Source>,
}

enum Source {
    Elapsed(Elapsed),
    Exhausted(Exhausted),
    Open(Open),
    Other(BoxError),
}

impl Error {
    /// A failure of this kind, in these words. What looks like a key in them is taken out.
    #[must_use]
    pub fn new(fault: impl Into<Fault>, message: impl AsRef<str>) -> Self {
        Self {
            inner: Box::new(Inner {
                fault: fault.into(),
                message: sanitise(message.as_ref()),
                kind: None,
                code: None,
                param: None,
                provider: None,
                request_id: None,
                elapsed: None,
                usage: None,
                served_by: None,
                source: None,
            }),
        }
    }

    /// The request itself is wrong.
    #[must_use]
    pub fn invalid(message: impl AsRef<str>) -> Self {
        Self::new(FaultKind::Invalid, message).with_kind("invalid_request_error")
    }

    /// The answer could not be understood.
    #[must_use]
    pub fn malformed(message: impl AsRef<str>) -> Self {
        Self::new(FaultKind::Malformed, message)
    }

    /// Refused here, without a call, for this reason: `does not take images`.
    #[must_use]
    pub fn refused(reason: &'static str) -> Self {
        Self::new(Fault::new(FaultKind::Refused).because(reason), reason)
    }

    /// The same error, in these words.
    #[must_use]
    pub(crate) fn with_message(mut self, message: impl AsRef<str>) -> Self {
        self.inner.message = sanitise(message.as_ref());
        self
    }

    /// The same error, without these credentials in its words.
    #[must_use]
    pub(crate) fn without(mut self, secrets: &[Secret]) -> Self {
        let Inner {
            message,
            kind,
            code,
            param,
            ..
        } = &mut *self.inner;
        let words = [kind, code, param].into_iter().flatten();
        for word in iter::once(message).chain(words) {
            for secret in secrets {
                if let Some(hidden) = sanitise::hide(word, secret) {
                    *word = hidden;
                }
            }
        }
        self
    }

    /// The same error, as a fault of this kind.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.inner.fault = fault;
        self
    }

    /// The same error, with what the headers said of trying again.
    #[must_use]
    pub fn with_hint(mut self, hint: RetryHint) -> Self {
        self.inner.fault = hint.apply(self.inner.fault);
        self
    }

    /// The same error, with the provider's name for its type: `overloaded_error`.
    #[must_use]
    pub fn with_kind(mut self, kind: impl AsRef<str>) -> Self {
        self.inner.kind = Some(sanitise(kind.as_ref()));
        self
    }

    /// The same error, with the provider's code for it: `context_length_exceeded`.
    #[must_use]
    pub fn with_code(mut self, code: impl AsRef<str>) -> Self {
        self.inner.code = Some(sanitise(code.as_ref()));
        self
    }

    /// The same error, with the field of the request that is to blame.
    #[must_use]
    pub fn with_param(mut self, param: impl AsRef<str>) -> Self {
        self.inner.param = Some(sanitise(param.as_ref()));
        self
    }

    /// The same error, by this provider.
    #[must_use]
    pub fn with_provider(mut self, provider: Name) -> Self {
        self.inner.provider = Some(provider);
        self
    }

    /// The same error, with the provider's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.inner.request_id = Some(id.into());
        self
    }

    /// The same error, after this long.
    #[must_use]
    pub const fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.inner.elapsed = Some(elapsed);
        self
    }

    /// The same error, with what the answer had cost up to there.
    #[must_use]
    pub const fn with_usage(mut self, usage: Usage) -> Self {
        self.inner.usage = Some(usage);
        self
    }

    /// The same error, with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.inner.source = Some(Source::Other(source.into()));
        self
    }

    /// What the layers go by.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.inner.fault
    }

    /// The provider's words, or our own.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The provider's name for its type: `overloaded_error`.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.inner.kind.as_deref()
    }

    /// The provider's code for it: `context_length_exceeded`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.inner.code.as_deref()
    }

    /// The field of the request that is to blame.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.inner.param.as_deref()
    }

    /// The provider that failed.
    #[must_use]
    pub const fn provider(&self) -> Option<&Name> {
        self.inner.provider.as_ref()
    }

    /// The provider's id of the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref()
    }

    /// How long the call took until it failed.
    #[must_use]
    pub const fn elapsed(&self) -> Option<Duration> {
        self.inner.elapsed
    }

    /// What the answer had cost when it broke off, where that is known.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.inner.usage
    }

    /// Who the error came from, once a served-by layer has said so, and what failed on the way.
    #[must_use]
    pub const fn served_by(&self) -> Option<&ServedBy> {
        self.inner.served_by.as_ref()
    }

    /// Every attempt that failed, where several were made.
    #[must_use]
    pub fn trail(&self) -> Option<&Trail> {
        match &self.inner.source {
            Some(Source::Exhausted(error)) => Some(error.trail()),
            Some(Source::Elapsed(error)) => Some(error.trail()),
            _ => self.inner.served_by.as_ref().map(|served| &served.trail),
        }
    }

    /// The provider's error at the bottom of it: of several attempts the last.
    #[must_use]
    pub fn root(&self) -> &Self {
        match &self.inner.source {
            Some(Source::Exhausted(error)) => error.last::<Self>().map_or(self, Self::root),
            _ => self,
        }
    }

    /// The status that a caller is answered with. It is never the provider's own 401, 402, 403 or
    /// 404, which are about *our* key and *our* model name, not about the caller's.
    #[must_use]
    pub fn caller_status(&self) -> StatusCode {
        let own = self.fault().status().unwrap_or_default();
        match self.fault().kind() {
            FaultKind::Invalid if (400..500).contains(&own) => {
                StatusCode::from_u16(own).unwrap_or(StatusCode::BAD_REQUEST)
            }
            FaultKind::Invalid | FaultKind::TooLarge | FaultKind::Filtered => {
                StatusCode::BAD_REQUEST
            }
            FaultKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            FaultKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            FaultKind::Overloaded
            | FaultKind::QuotaExhausted
            | FaultKind::Denied
            | FaultKind::Refused => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// The soonest that another try may help, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let last = self.fault().retry_after();
        let tried = self.trail().and_then(Trail::retry_after);
        last.into_iter().chain(tried).min()
    }

    /// Whether the same request may succeed at another time.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(
            self.fault().kind(),
            FaultKind::Denied
                | FaultKind::Filtered
                | FaultKind::Invalid
                | FaultKind::Missing
                | FaultKind::QuotaExhausted
                | FaultKind::TooLarge
        )
    }
}

impl Stamp for Error {
    fn served_by(&self) -> Option<&ServedBy> {
        self.inner.served_by.as_ref()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.inner.served_by.as_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.inner.served_by = Some(stamp);
    }
}

impl From<Elapsed> for Error {
    fn from(elapsed: Elapsed) -> Self {
        let mut error =
            Self::new(elapsed.fault(), elapsed.to_string()).with_elapsed(elapsed.after());
        error.inner.source = Some(Source::Elapsed(elapsed));
        error
    }
}

impl From<Open> for Error {
    fn from(open: Open) -> Self {
        let mut error = Self::new(open.fault(), open.to_string());
        error.inner.source = Some(Source::Open(open));
        error
    }
}

impl From<Exhausted> for Error {
    fn from(exhausted: Exhausted) -> Self {
        let mut error = Self::new(unable::fault(&exhausted), exhausted.to_string());
        if let Some(last) = exhausted.last::<Self>() {
            let Inner {
                kind, code, param, ..
            } = &*last.inner;
            error.inner.kind.clone_from(kind);
            error.inner.code.clone_from(code);
            error.inner.param.clone_from(param);
            error.inner.usage = last.inner.usage;
        }
        error.inner.source = Some(Source::Exhausted(exhausted));
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = &self.inner.provider {
            write!(f, "{provider}: ")?;
        }
        if let Some(status) = self.inner.fault.status() {
            write!(f, "{status} ")?;
        }
        match &self.inner.kind {
            Some(kind) => write!(f, "{kind}: {}", self.inner.message),
            None => f.write_str(&self.inner.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("fault", &self.inner.fault)
            .field("message", &self.inner.message)
            .field("kind", &self.inner.kind)
            .field("code", &self.inner.code)
            .field("provider", &self.inner.provider)
            .field("request_id", &self.inner.request_id)
            .field("elapsed", &self.inner.elapsed)
            .field("usage", &self.inner.usage)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self.inner.source.as_ref()? {
            Source::Elapsed(error) => error,
            Source::Exhausted(error) => error,
            Source::Open(error) => error,
            Source::Other(error) => &**error,
        })
    }
}
