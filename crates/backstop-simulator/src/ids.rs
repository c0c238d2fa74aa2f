//! Identifiers of the shape that each provider gives.

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const HEX: &[u8] = b"0123456789abcdef";

fn random(prefix: &str, alphabet: &[u8], length: usize) -> String {
    let mut id = String::with_capacity(prefix.len() + length);
    id.push_str(prefix);
    id.extend((0..length).map(|_| char::from(alphabet[fastrand::usize(..alphabet.len())])));
    id
}

/// OpenAI's ids of completions and tool calls: `chatcmpl-` and 29 letters, `call_` and 24.
pub(crate) fn alphanumeric(prefix: &str, length: usize) -> String {
    random(prefix, ALPHANUMERIC, length)
}

/// Anthropic's: `msg_01` and 22 characters without the ones that look alike.
pub(crate) fn base58(prefix: &str, length: usize) -> String {
    random(prefix, BASE58, length)
}

/// OpenAI's ids of responses, their items and requests.
pub(crate) fn hex(prefix: &str, length: usize) -> String {
    random(prefix, HEX, length)
}

/// Filler of a random length, as OpenAI and Anthropic add to hide how long a token is.
pub(crate) fn padding(filler: &'static str) -> &'static str {
    &filler[..fastrand::usize(..=filler.len())]
}
