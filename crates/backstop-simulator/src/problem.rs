use std::time::Duration;

/// What is wrong with a call, in no dialect yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Problem {
    /// The request is not one: 400, with what is said about it and the field at fault.
    Invalid {
        message: String,
        param: Option<&'static str>,
    },
    /// No key came with the request.
    NoKey,
    /// The key is not the right one.
    WrongKey,
    /// As above, where the dialect has another word for a key that nobody has: Gemini's 400.
    InvalidKey,
    /// The key is right, but not for this.
    Forbidden,
    /// No such model, or not for this key.
    NoSuchModel,
    /// No such path.
    NoSuchPath,
    /// The prompt is longer than the model's context.
    ContextLength,
    /// The body has too many bytes.
    BodyTooLarge,
    /// The prompt or the answer was blocked.
    Filtered,
    /// Too many requests, with the time after which the next may come.
    RateLimited(Duration),
    /// The account has run out of money.
    Quota,
    /// The model can't go on with a trailing assistant message.
    Prefill,
    /// An internal error.
    Server,
    /// The service is not there for the moment.
    Unavailable,
    /// The service has more to do than it can.
    Overloaded,
    /// The service took too long.
    TimedOut,
}

impl Problem {
    pub(crate) fn invalid(message: impl Into<String>, param: &'static str) -> Self {
        Self::Invalid {
            message: message.into(),
            param: Some(param),
        }
    }

    /// The problem that a provider most likely means by a status.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::WrongKey,
            402 => Self::Quota,
            403 => Self::Forbidden,
            404 => Self::NoSuchModel,
            408 | 504 => Self::TimedOut,
            413 => Self::BodyTooLarge,
            429 => Self::RateLimited(Duration::from_secs(1)),
            502 | 503 => Self::Unavailable,
            529 => Self::Overloaded,
            400..=499 => Self::Invalid {
                message: "The request could not be processed.".to_owned(),
                param: None,
            },
            _ => Self::Server,
        }
    }
}
