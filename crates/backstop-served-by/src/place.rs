//! Where a stamp goes.

use std::{fmt, mem::ManuallyDrop};

use backstop_core::{ServedBy, Stamp};

/// Puts a stamp on a response or an error.
///
/// It is a strategy of the layer and not of the response's type, so that a type of another crate
/// can be stamped too.
pub trait Place<T> {
    /// The response with the stamp on it.
    type Stamped;

    /// Puts the stamp on, unless a layer further in has done so. It is made only where asked for.
    fn put(&self, response: T, stamp: impl FnOnce() -> ServedBy) -> Self::Stamped;
}

/// In the place that the type has for it: see [`Stamp`]. What a response holds is not given back if
/// its own code for the stamp panics.
#[derive(Clone, Copy, Debug, Default)]
pub struct InPlace;

impl<T: Stamp> Place<T> for InPlace {
    type Stamped = T;

    #[inline]
    fn put(&self, response: T, stamp: impl FnOnce() -> ServedBy) -> T {
        // What a panic would have to drop is kept in memory. This stays in registers.
        let mut response = ManuallyDrop::new(response);
        match response.served_by_mut() {
            Some(inner) => add(inner, &stamp()),
            None => response.stamp(stamp()),
        }
        ManuallyDrop::into_inner(response)
    }
}

/// The innermost stamp knows best who answered; one further out knows what was asked for, and
/// whether that is a lesser answer. It is shared with other answers, and so left as it is where
/// there is nothing to add.
fn add(inner: &mut ServedBy, outer: &ServedBy) {
    if outer.degraded && !inner.degraded {
        inner.degraded = true;
    }
    if outer.requested.is_some() && inner.requested.is_none() {
        inner.requested.clone_from(&outer.requested);
    }
    if inner.trail.attempts().len() < outer.trail.attempts().len() {
        inner.trail.clone_from(&outer.trail);
    }
}

/// Beside the response, in a [`Served`]: for a type that has no place for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside;

impl<T> Place<T> for Beside {
    type Stamped = Served<T>;

    #[inline]
    fn put(&self, response: T, stamp: impl FnOnce() -> ServedBy) -> Served<T> {
        Served {
            response,
            served_by: stamp(),
        }
    }
}

/// A response, and who it came from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served<T> {
    /// The response.
    pub response: T,
    /// Who it came from.
    pub served_by: ServedBy,
}

impl<T> Stamp for Served<T> {
    fn served_by(&self) -> Option<&ServedBy> {
        Some(&self.served_by)
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        Some(&mut self.served_by)
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.served_by = stamp;
    }
}

/// Where a closure puts it. Whether a stamp that is there already is kept is then for the closure
/// to see to.
#[derive(Clone, Copy)]
pub struct PutFn<F>(pub(crate) F);

impl<T, F> Place<T> for PutFn<F>
where
    F: Fn(&mut T, ServedBy),
{
    type Stamped = T;

    fn put(&self, mut response: T, stamp: impl FnOnce() -> ServedBy) -> T {
        (self.0)(&mut response, stamp());
        response
    }
}

impl<F> fmt::Debug for PutFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PutFn")
    }
}

/// Nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

impl<T> Place<T> for Nowhere {
    type Stamped = T;

    #[inline]
    fn put(&self, response: T, _stamp: impl FnOnce() -> ServedBy) -> T {
        response
    }
}
