//! What one finished call means to the layers.

use crate::{Fault, FaultKind, context};

/// What one finished call means to the layers: given once, by a [`Classify`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// The service did not do what was asked of it.
    Failure(Fault),
    /// The caller's own doing: cancelled, or asked for what no service would grant. It says
    /// nothing about the service, so it moves no state and is not tried again.
    Neutral,
    /// The service answered.
    Success,
}

impl Verdict {
    /// The fault, where this is a failure.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Failure(fault) => Some(fault),
            _ => None,
        }
    }
}

impl From<Fault> for Verdict {
    fn from(fault: Fault) -> Self {
        Self::Failure(fault)
    }
}

/// Tells what a result means: a success, a failure of some kind, or nothing about the service.
///
/// One classifier serves every layer of a stack. A layer asks it once per result, for a reference
/// only, and acts on the kinds that it was told to act on.
///
/// A closure becomes one by [`classify_fn`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives no verdict on a `Result<{Res}, {Err}>`",
    note = "a closure does, by `classify_fn(|result: Result<&{Res}, &{Err}>| ...)`; or the result \
            is made another further in, by tower's `.map_response(...)` or `.map_err(...)`"
)]
pub trait Classify<Res, Err> {
    /// The verdict on one result.
    fn classify(&self, result: Result<&Res, &Err>) -> Verdict;

    /// The verdict, with a fault that a layer further in made itself taken from the call's
    /// context in place of a guess at its error type. Layers call this one.
    #[inline]
    fn judge(&self, result: Result<&Res, &Err>) -> Verdict {
        match result {
            Ok(_) => {
                context::clear_fault();
                self.classify(result)
            }
            Err(_) => match context::fault() {
                Some(fault) => Verdict::Failure(fault),
                None => self.classify(result),
            },
        }
    }
}

/// Any error is a transient failure ([`FaultKind::Unavailable`]), and any response a success: the
/// default of every layer, right for a service whose errors mean that it could not be reached.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ErrorsAreTransient;

impl ErrorsAreTransient {
    /// The classifier, which has nothing to configure.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<Res, Err> Classify<Res, Err> for ErrorsAreTransient {
    #[inline]
    fn classify(&self, result: Result<&Res, &Err>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure(Fault::new(FaultKind::Unavailable)),
        }
    }
}

/// A classifier made of a closure by [`classify_fn`].
#[derive(Clone, Copy)]
pub struct ClassifyFn<F>(F);

/// Makes a classifier of a closure. Spell out its argument: a closure's reference types are not
/// inferred through a trait.
///
/// ```
/// use backstop_core::{Fault, FaultKind, Verdict, classify_fn};
///
/// let by_text = classify_fn(|result: Result<&String, &std::io::Error>| match result {
///     Ok(text) if text.is_empty() => Fault::new(FaultKind::Malformed).into(),
///     Ok(_) => Verdict::Success,
///     Err(_) => Fault::new(FaultKind::Connect).into(),
/// });
/// # let _ = by_text;
/// ```
pub fn classify_fn<F, Res, Err>(classify: F) -> ClassifyFn<F>
where
    F: Fn(Result<&Res, &Err>) -> Verdict,
{
    ClassifyFn(classify)
}

impl<F, Res, Err> Classify<Res, Err> for ClassifyFn<F>
where
    F: Fn(Result<&Res, &Err>) -> Verdict,
{
    fn classify(&self, result: Result<&Res, &Err>) -> Verdict {
        (self.0)(result)
    }
}

impl<F> std::fmt::Debug for ClassifyFn<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClassifyFn")
    }
}
