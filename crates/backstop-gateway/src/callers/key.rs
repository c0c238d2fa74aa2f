//! Callers' keys: made here, kept only as hashes.

use std::fmt::{self, Write as _};

use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 of a key.
///
/// A key made here has 256 random bits, so that a plain hash is enough: there is nothing to guess.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of `key`.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.strip_prefix("sha256:").unwrap_or(text);
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Whether the two are the same, in a time that does not depend on it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A key just made. This is the only time that it is seen.
pub struct NewKey {
    text: String,
}

impl NewKey {
    /// Makes a key of 256 random bits.
    ///
    /// # Errors
    ///
    /// Where the operating system gives no random bits.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        let mut text = "bk-".to_owned();
        for byte in bits {
            // Writing to a string can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self { text })
    }

    /// The key, for the caller.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Its hash, for the config.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.text)
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({})", self.hash())
    }
}

/// The key that a request brings: as OpenAI's clients send it, or as Anthropic's do.
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    };
    let header = || headers.get("x-api-key")?.to_str().ok();
    bearer().or_else(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_known_by_its_hash() {
        let key = NewKey::generate().expect("there are random bits");
        assert_eq!(key.expose().len(), 67);
        assert!(key.hash().is(&Hash::of(key.expose())));
        assert_eq!(Hash::from_hex(&key.hash().to_string()), Some(key.hash()));
        assert!(!format!("{key:?}").contains(key.expose()));
        let other = NewKey::generate().expect("there are random bits");
        assert_ne!(key.hash(), other.hash());
    }

    #[test]
    fn refuses_what_is_no_hash() {
        for text in [
            "",
            "abc",
            &"g".repeat(64),
            &"+1".repeat(32),
            &"é".repeat(32),
        ] {
            assert_eq!(Hash::from_hex(text), None, "{text}");
        }
    }
}
