use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::Mishap;

/// A reply in place of the service's own.
///
/// Headers may be of any form, the worst included: a service under stress is not always to be
/// believed.
///
/// ```
/// use backstop_chaos::{Mishap, http::Reply};
/// use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
///
/// let form = HeaderValue::from_static("Wed, 21 Oct 2199 07:28:00 GMT");
/// let throttled: Mishap<Response<String>, std::io::Error> =
///     Reply::new(StatusCode::TOO_MANY_REQUESTS)
///         .header(RETRY_AFTER, form)
///         .body("slow down".to_owned())
///         .into();
/// ```
#[derive(Clone, Debug)]
pub struct Reply<B> {
    status: StatusCode,
    headers: HeaderMap,
    body: B,
}

impl<B: Default> Reply<B> {
    /// A reply of this status, with no headers and an empty body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: B::default(),
        }
    }
}

impl<B> Reply<B> {
    /// The same, with this header too.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same, with this body.
    #[must_use]
    pub fn body(mut self, body: B) -> Self {
        self.body = body;
        self
    }
}

impl<B, E> From<Reply<B>> for Mishap<Response<B>, E>
where
    B: Clone + Send + Sync + 'static,
{
    fn from(reply: Reply<B>) -> Self {
        Self::response(move || {
            let mut response = Response::new(reply.body.clone());
            *response.status_mut() = reply.status;
            *response.headers_mut() = reply.headers.clone();
            response
        })
    }
}
