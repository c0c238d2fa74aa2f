//! Clears a provider's words of what a caller must not see.

use crate::Secret;

/// The longest message that is passed on, in bytes.
const LIMIT: usize = 2048;

/// The shortest credential that is taken for one, in bytes.
const SHORTEST: usize = 8;

/// What keys of well-known providers begin with.
const KEYS: [&str; 10] = [
    "sk-", "AIza", "gsk_", "xai-", "hf_", "pplx-", "nvapi-", "key-", "csk-", "r8_",
];

/// The message without what looks like a key or an internal address, and no longer than 2 KiB.
#[must_use]
pub fn sanitise(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(LIMIT));
    let mut after_bearer = false;
    for piece in message.split_inclusive(is_edge) {
        let word = piece.trim_end_matches(is_edge);
        let edge = &piece[word.len()..];
        if !word.is_empty() {
            if is_key(word) || after_bearer {
                out.push_str("[key]");
            } else if is_address(word) {
                out.push_str("[address]");
            } else {
                out.push_str(word);
            }
            after_bearer = word.eq_ignore_ascii_case("bearer");
        }
        out.push_str(edge);
        if out.len() > LIMIT {
            let cut = (0..=LIMIT).rev().find(|i| out.is_char_boundary(*i));
            out.truncate(cut.unwrap_or_default());
            out.push('…');
            break;
        }
    }
    out
}

/// The message without this credential, whatever it looks like. A short one is no credential but a
/// word that a server without keys is sent.
pub(super) fn hide(message: &str, secret: &Secret) -> Option<String> {
    let secret = secret.expose();
    let secret = secret.strip_prefix("Bearer ").unwrap_or(secret);
    (secret.len() >= SHORTEST && message.contains(secret)).then(|| message.replace(secret, "[key]"))
}

/// Where one word ends and another may begin.
fn is_edge(c: char) -> bool {
    c.is_whitespace() || "\"'`()[]{}<>,;=&?/@|\\".contains(c)
}

fn is_key(word: &str) -> bool {
    word.len() >= 12 && KEYS.iter().any(|prefix| word.starts_with(prefix))
}

/// An IPv4 or IPv6 address, or a name that only means something inside a network.
fn is_address(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ':']);
    let host = match word.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => word,
    };
    host.parse::<std::net::Ipv4Addr>().is_ok()
        || (word.matches(':').count() > 1 && word.parse::<std::net::Ipv6Addr>().is_ok())
        || host == "localhost"
        || [".internal", ".local", ".localdomain", ".lan", ".svc"]
            .iter()
            .any(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
        || host.contains(".svc.cluster.")
}

#[cfg(test)]
mod tests {
    use super::sanitise;

    #[test]
    fn keys_and_addresses_are_taken_out_and_the_rest_is_left() {
        for (message, clean) in [
            (
                "Incorrect API key provided: sk-proj-abcdefgh1234. See https://x.ai/docs.",
                "Incorrect API key provided: [key] See https://x.ai/docs.",
            ),
            ("got Bearer abc.def, sorry", "got Bearer [key], sorry"),
            ("url ?key=AIzaSyD-0123456789", "url ?key=[key]"),
            (
                "dial tcp 10.1.2.3:8080: refused",
                "dial tcp [address] refused",
            ),
            (
                "http://api.prod.svc.cluster.local/v1",
                "http://[address]/v1",
            ),
            (
                "at 12:30 the version 1.2.3 was up",
                "at 12:30 the version 1.2.3 was up",
            ),
            ("model: claude-opus-4-8", "model: claude-opus-4-8"),
        ] {
            assert_eq!(sanitise(message), clean);
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let clean = sanitise(&"é ".repeat(4000));
        assert!(
            clean.len() < 2100 && clean.ends_with('…'),
            "{}",
            clean.len()
        );
    }
}
