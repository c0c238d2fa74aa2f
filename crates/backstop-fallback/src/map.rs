use std::fmt;

/// Makes the request that a candidate is sent of the one that the caller sent: another model's
/// name, another prompt, another type.
///
/// A closure becomes one by [`FallbackLayer::map_request`](crate::FallbackLayer::map_request) and
/// [`Candidate::map_request`](crate::Candidate::map_request).
pub trait MapRequest<Request> {
    /// What the candidate is sent.
    type Request;

    /// The request for this candidate.
    fn map(&self, request: Request) -> Self::Request;
}

/// The candidate is sent what the caller sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Same;

impl<Request> MapRequest<Request> for Same {
    type Request = Request;

    #[inline]
    fn map(&self, request: Request) -> Request {
        request
    }
}

/// A closure that makes the candidate's request.
#[derive(Clone, Copy)]
pub struct MapFn<F>(pub(crate) F);

impl<F, Request, Mapped> MapRequest<Request> for MapFn<F>
where
    F: Fn(Request) -> Mapped,
{
    type Request = Mapped;

    fn map(&self, request: Request) -> Mapped {
        (self.0)(request)
    }
}

impl<F> fmt::Debug for MapFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapFn")
    }
}
