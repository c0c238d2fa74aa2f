//! Who really answered.

use std::{
    error::Error,
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use crate::{BoxError, Name, Trail};

/// Who really answered a call, and what failed on the way. What is [`Stamped`] is shared: a layer
/// puts the same on every answer, at the cost of a counter.
///
/// The innermost stamp wins. What was *requested* is kept apart from what *served*: that the two
/// differ does not mean that anything failed.
#[derive(Clone, Debug)]
pub struct ServedBy {
    stamped: Arc<Stamped>,
    /// What failed on the way.
    pub trail: Trail,
}

/// What a [`ServedBy`] says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stamped {
    /// Who answered.
    pub name: Name,
    /// Who went on with the answer, in order, where it broke off and was continued.
    pub continued_by: Vec<Name>,
    /// What the caller asked for, where that is known.
    pub requested: Option<Name>,
    /// Whether the answer is a lesser one: from a cache, a static text, a lower tier.
    pub degraded: bool,
    /// How old the answer is, where it was kept from an earlier call.
    pub age: Option<Duration>,
}

impl Stamped {
    /// Says that `name` answered, and nothing else.
    #[must_use]
    pub const fn new(name: Name) -> Self {
        Self {
            name,
            continued_by: Vec::new(),
            requested: None,
            degraded: false,
            age: None,
        }
    }
}

impl ServedBy {
    /// Served by `name`, with nothing failed on the way.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Arc::new(Stamped::new(name)).into()
    }

    /// The same stamp, on an answer to a request for `name`.
    #[must_use]
    pub fn requested(mut self, name: Name) -> Self {
        self.requested = Some(name);
        self
    }

    /// The same stamp, on a lesser answer.
    #[must_use]
    pub fn degraded(mut self) -> Self {
        self.degraded = true;
        self
    }
}

impl From<Arc<Stamped>> for ServedBy {
    /// What is put on every answer, with nothing failed on the way of this one.
    #[inline]
    fn from(stamped: Arc<Stamped>) -> Self {
        Self {
            stamped,
            trail: Trail::new(),
        }
    }
}

impl Deref for ServedBy {
    type Target = Stamped;

    #[inline]
    fn deref(&self) -> &Stamped {
        &self.stamped
    }
}

impl DerefMut for ServedBy {
    /// What is shared with other answers is copied first.
    fn deref_mut(&mut self) -> &mut Stamped {
        Arc::make_mut(&mut self.stamped)
    }
}

impl fmt::Display for ServedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for name in &self.continued_by {
            write!(f, ", {name}")?;
        }
        Ok(())
    }
}

/// A response or an error with a place for the stamp that says who it came from.
///
/// It is implemented for `http::Response` (feature `http`) and `tonic::Response` (feature `grpc`),
/// which keep the stamp in their extensions. A type of one's own has a field for it:
///
/// ```
/// use backstop_core::{ServedBy, Stamp};
///
/// struct Answer {
///     text: String,
///     served_by: Option<ServedBy>,
/// }
///
/// impl Stamp for Answer {
///     fn served_by(&self) -> Option<&ServedBy> {
///         self.served_by.as_ref()
///     }
///
///     fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
///         self.served_by.as_mut()
///     }
///
///     fn stamp(&mut self, stamp: ServedBy) {
///         self.served_by = Some(stamp);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no place for a stamp",
    note = "implement `Stamp` for a type of your own; `ServedByLayer::beside` and `put` are for \
            others"
)]
pub trait Stamp {
    /// The stamp, where there is one.
    fn served_by(&self) -> Option<&ServedBy>;

    /// The stamp, to be added to.
    fn served_by_mut(&mut self) -> Option<&mut ServedBy>;

    /// Puts the stamp in its place, over one that is there.
    fn stamp(&mut self, stamp: ServedBy);
}

/// What a [`BoxError`] becomes when it is stamped: the error, and who it came from.
#[derive(Debug)]
pub struct StampedError {
    served_by: ServedBy,
    error: BoxError,
}

impl StampedError {
    /// Who the error came from.
    #[must_use]
    pub const fn served_by(&self) -> &ServedBy {
        &self.served_by
    }

    /// The error itself.
    #[must_use]
    pub fn into_inner(self) -> BoxError {
        self.error
    }
}

impl fmt::Display for StampedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.served_by)
    }
}

impl Error for StampedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.error)
    }
}

impl Stamp for BoxError {
    fn served_by(&self) -> Option<&ServedBy> {
        let stamped = self.downcast_ref::<StampedError>()?;
        Some(&stamped.served_by)
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        let stamped = self.downcast_mut::<StampedError>()?;
        Some(&mut stamped.served_by)
    }

    fn stamp(&mut self, stamp: ServedBy) {
        match self.downcast_mut::<StampedError>() {
            Some(stamped) => stamped.served_by = stamp,
            None => {
                // An error without a size, and so without an allocation, keeps the place.
                let error = std::mem::replace(self, Box::new(fmt::Error));
                *self = Box::new(StampedError {
                    served_by: stamp,
                    error,
                });
            }
        }
    }
}

#[cfg(feature = "http")]
impl<B> Stamp for ::http::Response<B> {
    fn served_by(&self) -> Option<&ServedBy> {
        self.extensions().get()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.extensions_mut().get_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.extensions_mut().insert(stamp);
    }
}

#[cfg(feature = "grpc")]
impl<T> Stamp for tonic::Response<T> {
    fn served_by(&self) -> Option<&ServedBy> {
        self.extensions().get()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.extensions_mut().get_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.extensions_mut().insert(stamp);
    }
}
