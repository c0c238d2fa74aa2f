//! Who may see and change.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, StatusCode, header};

use super::told::refused;
use crate::{callers::Hash, gateway::Gateway};

/// Passes on the requests of those who may.
pub(super) async fn check(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Response {
    if is_from_elsewhere(request.headers()) {
        return elsewhere();
    }
    let running = gateway.running();
    let config = &running.config;
    let allowed = match &config.admin.sha256 {
        Some(hash) => presented(request.headers()).is_some_and(|key| hash.is(&Hash::of(&key))),
        None => config.keys.is_empty() && is_meant(request.headers()),
    };
    if allowed {
        return next.run(request).await;
    }
    // A browser asks for the key, which goes into the place of a password.
    let ask = (header::WWW_AUTHENTICATE, "Basic realm=\"backstop\"");
    let why = "This needs the key whose hash is `sha256` in [admin].";
    ([ask], refused(StatusCode::UNAUTHORIZED, why)).into_response()
}

/// Passes on what comes to a listener that is the operator's alone, but for what a page of another
/// site makes a browser on this machine ask.
pub(super) async fn check_site(request: Request, next: Next) -> Response {
    if is_from_elsewhere(request.headers()) || !is_meant(request.headers()) {
        return elsewhere();
    }
    next.run(request).await
}

/// Whether a browser makes the request for a page of another site, or of a name that may have been
/// made to lead here. Programs name no site, and may know this machine by any name.
pub(crate) fn is_by_foreign_page(headers: &HeaderMap) -> bool {
    let is_by_page = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    is_by_page && (is_from_elsewhere(headers) || !is_meant(headers))
}

fn elsewhere() -> Response {
    refused(
        StatusCode::FORBIDDEN,
        "Another site asked the browser for this.",
    )
}

/// Whether a browser says that a page of another site makes the request. It would bring along the
/// key that a person has given the browser, or come from the very machine that may do all.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none") || is_foreign(headers)
}

/// Whether a page of another site changes something. That much a browser tells of it even where a
/// gateway is reached in the clear, over a network that is not this machine.
fn is_foreign(headers: &HeaderMap) -> bool {
    let [origin, host] = [header::ORIGIN, header::HOST].map(|name| headers.get(name));
    let (Some(origin), Some(host)) = (origin, host) else {
        return false;
    };
    let own = |scheme: &[u8]| origin.as_bytes().strip_prefix(scheme) == Some(host.as_bytes());
    !own(b"http://") && !own(b"https://")
}

/// Whether the request was meant for this machine: a name of someone else's may have been made to
/// lead here, for a browser on this machine to follow.
fn is_meant(headers: &HeaderMap) -> bool {
    let Some(Ok(host)) = headers.get(header::HOST).map(|host| host.to_str()) else {
        return true;
    };
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
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

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            header::HeaderName::from_static(name),
            header::HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_page_of_another_site_may_not_use_the_browser_for_it() {
        for (site, elsewhere) in [
            ("same-origin", false),
            ("none", false),
            ("same-site", true),
            ("cross-site", true),
        ] {
            assert_eq!(
                is_from_elsewhere(&headers("sec-fetch-site", site)),
                elsewhere
            );
        }
        assert!(!is_from_elsewhere(&HeaderMap::new()));
    }

    #[test]
    fn a_page_of_another_site_may_change_nothing_where_browsers_tell_no_site() {
        for (origin, elsewhere) in [
            ("http://10.0.0.7:4000", false),
            ("https://10.0.0.7:4000", false),
            ("http://10.0.0.7", true),
            ("http://evil.example", true),
            ("null", true),
        ] {
            let mut headers = headers("host", "10.0.0.7:4000");
            assert!(!is_from_elsewhere(&headers));
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            assert_eq!(is_from_elsewhere(&headers), elsewhere, "{origin}");
        }
    }

    #[test]
    fn a_foreign_name_that_leads_here_is_not_this_machine() {
        for (host, meant) in [
            ("127.0.0.1:4000", true),
            ("[::1]:4000", true),
            ("localhost:4000", true),
            ("LOCALHOST", true),
            ("evil.example:4000", false),
            ("a b", false),
        ] {
            assert_eq!(is_meant(&headers("host", host)), meant, "{host}");
        }
        assert!(is_meant(&HeaderMap::new()));
    }
}
