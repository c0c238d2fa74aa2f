//! One id for each request, on its answer and on its line of the log.

use backstop_core::Name;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that OpenAI's clients and most proxies know.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The header that Anthropic's clients know.
const ANTHROPIC: HeaderName = HeaderName::from_static("request-id");

/// The longest id of a caller's own that is taken over.
const LONGEST: usize = 128;

/// The caller's own id, where it sent one fit for a log; else a new one.
pub(crate) fn of(headers: &HeaderMap) -> Name {
    let own = headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=LONGEST).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
    match own {
        Some(id) => Name::from(id),
        None => new(),
    }
}

/// `req_` and sixteen hexadecimal digits.
fn new() -> Name {
    let random = fastrand::u64(..);
    let mut id = *b"req_0000000000000000";
    for (place, digit) in id[4..].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(random >> (4 * place) & 0xf) as usize];
    }
    Name::from(std::str::from_utf8(&id).unwrap_or_default())
}

/// Puts the id on an answer.
pub(crate) fn stamp(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(HEADER, value.clone());
        headers.insert(ANTHROPIC, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sent: &str) -> Name {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, sent.parse().unwrap());
        of(&headers)
    }

    #[test]
    fn a_callers_own_id_is_kept_where_it_is_fit_for_a_log() {
        assert_eq!(&*id("trace-17"), "trace-17");
        assert!(id("two words").starts_with("req_"));
        assert_eq!(id("two words").len(), 20);
        assert!(id(&"x".repeat(LONGEST + 1)).starts_with("req_"));
        assert_ne!(of(&HeaderMap::new()), of(&HeaderMap::new()));
    }
}
