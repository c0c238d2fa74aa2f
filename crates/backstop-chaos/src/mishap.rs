use std::{fmt, sync::Arc, time::Duration};

/// What befalls a call.
///
/// ```
/// use std::{io, time::Duration};
/// use backstop_chaos::Mishap;
///
/// type M = Mishap<String, io::Error>;
///
/// let reset = M::error(|| io::ErrorKind::ConnectionReset.into());
/// let garbage = M::response(|| "<html>".to_owned());
/// let slow_garbage = garbage.clone().after(Duration::from_secs(3));
/// let slow = M::late(Duration::from_secs(3));
/// let hung = M::hang();
/// let short = M::spoilt(|answer| Ok(answer.chars().take(7).collect()));
/// ```
pub struct Mishap<Res, E> {
    pub(crate) wait: Duration,
    pub(crate) then: Then<Res, E>,
}

pub(crate) enum Then<Res, E> {
    /// The service is called after all.
    Call,
    /// The service is called after all, and this is made of its response.
    Spoil(Arc<dyn Fn(Res) -> Result<Res, E> + Send + Sync>),
    /// Nothing ever comes.
    Hang,
    /// This comes in place of the service's answer.
    Answer(Arc<dyn Fn() -> Result<Res, E> + Send + Sync>),
}

impl<Res, E> Mishap<Res, E> {
    /// The service answers, but so much later.
    #[must_use]
    pub const fn late(by: Duration) -> Self {
        Self {
            wait: by,
            then: Then::Call,
        }
    }

    /// Nothing ever comes. The service is not called.
    #[must_use]
    pub const fn hang() -> Self {
        Self {
            wait: Duration::ZERO,
            then: Then::Hang,
        }
    }

    /// The service answers, and `spoil` makes of its response what comes: one that breaks off in the
    /// middle, say, or an error. An error of the service's own is passed on as it is.
    #[must_use]
    pub fn spoilt(spoil: impl Fn(Res) -> Result<Res, E> + Send + Sync + 'static) -> Self {
        Self {
            wait: Duration::ZERO,
            then: Then::Spoil(Arc::new(spoil)),
        }
    }

    /// An error, such as a connection that was reset. The service is not called.
    #[must_use]
    pub fn error(make: impl Fn() -> E + Send + Sync + 'static) -> Self {
        Self::answer(move || Err(make()))
    }

    /// A response, of an overloaded service or of no sense at all. The service is not called.
    #[must_use]
    pub fn response(make: impl Fn() -> Res + Send + Sync + 'static) -> Self {
        Self::answer(move || Ok(make()))
    }

    fn answer(make: impl Fn() -> Result<Res, E> + Send + Sync + 'static) -> Self {
        Self {
            wait: Duration::ZERO,
            then: Then::Answer(Arc::new(make)),
        }
    }

    /// Whether the service is called.
    pub(crate) const fn calls(&self) -> bool {
        matches!(self.then, Then::Call | Then::Spoil(_))
    }

    /// The same, after so long.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl<Res, E> Clone for Mishap<Res, E> {
    fn clone(&self) -> Self {
        Self {
            wait: self.wait,
            then: match &self.then {
                Then::Call => Then::Call,
                Then::Spoil(spoil) => Then::Spoil(spoil.clone()),
                Then::Hang => Then::Hang,
                Then::Answer(make) => Then::Answer(make.clone()),
            },
        }
    }
}

impl<Res, E> fmt::Debug for Mishap<Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let then = match &self.then {
            Then::Call => "call",
            Then::Spoil(_) => "spoil",
            Then::Hang => "hang",
            Then::Answer(_) => "answer",
        };
        f.debug_struct("Mishap")
            .field("wait", &self.wait)
            .field("then", &format_args!("{then}"))
            .finish()
    }
}
