//! The status page: everything in one file, which asks `/status.json` for what it shows.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

static PAGE: LazyLock<Page> = LazyLock::new(Page::new);

struct Page {
    html: String,
    policy: HeaderValue,
}

impl Page {
    fn new() -> Self {
        // Only these two are ever run or applied, whatever a name from a config may hold.
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            source(SCRIPT),
            source(STYLE),
        );
        Self {
            html: TEMPLATE
                .replace("{style}", STYLE)
                .replace("{script}", SCRIPT),
            policy: HeaderValue::try_from(policy).expect("it is plain ASCII"),
        }
    }
}

/// How a policy names an inline script or style: by its hash.
fn source(inline: &str) -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(inline));
    format!("sha256-{hash}")
}

/// `/`
pub(super) async fn page() -> Response {
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        (header::CONTENT_SECURITY_POLICY, PAGE.policy.clone()),
        fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        fixed(header::REFERRER_POLICY, "no-referrer"),
        fixed(header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(PAGE.html.as_str())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between the two, once.
    fn between(open: &str, close: &str) -> &'static str {
        let (_, rest) = PAGE.html.split_once(open).unwrap();
        let (inside, after) = rest.split_once(close).unwrap();
        assert!(!after.contains(close), "{close} within {open}");
        inside
    }

    #[test]
    fn the_policy_allows_the_script_and_the_style_as_they_stand_in_the_page() {
        let policy = PAGE.policy.to_str().unwrap();
        for inside in [
            between("<script>", "</script>"),
            between("<style>", "</style>"),
        ] {
            assert!(policy.contains(&source(inside)));
        }
    }

    #[test]
    fn the_page_asks_nobody_else_for_anything() {
        let html = PAGE.html.replace("http://www.w3.org/2000/svg", "");
        for asking in ["http:", "https:", "@import", "url(", "src="] {
            assert!(!html.contains(asking), "{asking}");
        }
    }

    #[test]
    fn what_comes_from_the_config_or_a_provider_is_never_read_as_markup() {
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
        ] {
            assert!(!SCRIPT.contains(way), "{way}");
        }
        let handler = |word: &str| word.starts_with("on") && word.contains('=');
        assert!(!TEMPLATE.split_whitespace().any(handler));
    }
}
