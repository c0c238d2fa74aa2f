//! A place in a trace, as the `traceparent` header tells it.

use std::{fmt, str::FromStr};

/// Which trace, and which span of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Parent {
    pub(super) trace: u128,
    pub(super) span: u64,
    /// Whether the trace is one of those that are kept: who begins it decides that for all.
    pub(super) sampled: bool,
}

impl Parent {
    /// A place of its own, in a trace of its own.
    pub(super) fn new() -> Self {
        Self {
            trace: fastrand::u128(1..),
            span: fastrand::u64(1..),
            sampled: true,
        }
    }
}

/// It is no `traceparent` of a version that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoParent;

impl FromStr for Parent {
    type Err = NoParent;

    fn from_str(text: &str) -> Result<Self, NoParent> {
        let mut parts = text.trim().split('-');
        let mut part = |length: usize| {
            let hex =
                |text: &&str| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
            parts.next().filter(hex).ok_or(NoParent)
        };
        let version = part(2)?;
        let trace = u128::from_str_radix(part(32)?, 16).map_err(|_| NoParent)?;
        let span = u64::from_str_radix(part(16)?, 16).map_err(|_| NoParent)?;
        let flags = u8::from_str_radix(part(2)?, 16).map_err(|_| NoParent)?;
        if version == "ff" || trace == 0 || span == 0 {
            return Err(NoParent);
        }
        Ok(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let own = Parent::new();
        assert_eq!(own.to_string().parse::<Parent>().ok(), Some(own));
        for flags in ["00", "01"] {
            let known = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            let read = known.parse::<Parent>().expect("is one");
            assert_eq!(read.to_string(), known);
        }
        for wrong in [
            "",
            "00-0-0-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333z-01",
        ] {
            assert!(wrong.parse::<Parent>().is_err(), "{wrong}");
        }
    }
}
