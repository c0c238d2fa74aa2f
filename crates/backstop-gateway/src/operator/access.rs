//! Who may see and change.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, StatusCode, header};

use crate::{callers::Hash, gateway::Gateway};

/// Passes on the requests of those who may.
pub(super) async fn check(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Response {
    let running = gateway.running();
    let config = &running.config;
    let allowed = match &config.admin.sha256 {
        Some(hash) => presented(request.headers()).is_some_and(|key| hash.is(&Hash::of(&key))),
        None => config.keys.is_empty(),
    };
    if allowed {
        return next.run(request).await;
    }
    // A browser asks for the key, which goes into the place of a password.
    let ask = (header::WWW_AUTHENTICATE, "Basic realm=\"backstop\"");
    let why = "This needs the key whose hash is `sha256` in [admin].\n";
    (StatusCode::UNAUTHORIZED, [ask], why).into_response()
}

/// The key that a request brings, as a bearer token or as a browser sends a password.
fn presented(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    text.split_once(':')
        .map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_key_from_a_program_or_a_browser() {
        let key = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            presented(&headers)
        };
        assert_eq!(key("Bearer the-key").as_deref(), Some("the-key"));
        assert_eq!(
            key("Basic YWRtaW46dGhlLWtleQ==").as_deref(),
            Some("the-key")
        );
        assert_eq!(key("Basic YW55OmE6Yg==").as_deref(), Some("a:b"));
        assert_eq!(key("Basic not base64"), None);
        assert_eq!(key("Digest x"), None);
    }
}
