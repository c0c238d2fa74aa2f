use std::fmt;

/// Makes the copies of a request that further attempts are sent with.
///
/// A copy is asked for before each attempt but the last. Where there can be none, the request is
/// sent once and not again.
pub trait CloneRequest<Request> {
    /// A copy of a request that is about to be sent, where there can be one.
    fn clone_request(&self, request: &Request) -> Option<Request>;

    /// Whether a copy, made before the last attempt, can be sent now that this has failed.
    fn is_whole(&self, copy: &Request) -> bool {
        let _ = copy;
        true
    }
}

/// Requests are `Clone`: the default.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ByClone;

impl<Request: Clone> CloneRequest<Request> for ByClone {
    #[inline]
    fn clone_request(&self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

/// Copies made by a closure: see [`RetryLayer::clone_request_fn`](crate::RetryLayer::clone_request_fn).
#[derive(Clone, Copy)]
pub struct CloneRequestFn<F>(pub(crate) F);

impl<F, Request> CloneRequest<Request> for CloneRequestFn<F>
where
    F: Fn(&Request) -> Option<Request>,
{
    fn clone_request(&self, request: &Request) -> Option<Request> {
        (self.0)(request)
    }
}

impl<F> fmt::Debug for CloneRequestFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CloneRequestFn")
    }
}
