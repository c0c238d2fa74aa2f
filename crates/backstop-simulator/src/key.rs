use std::fmt;

/// The key that callers must have. Its `Debug` output doesn't tell it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Key(pub(crate) String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
