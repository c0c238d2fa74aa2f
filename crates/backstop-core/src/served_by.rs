//! Who really answered.

use std::fmt;

use crate::{Name, Trail};

/// Who really answered a call.
///
/// The innermost stamp wins. What was *requested* is kept apart from what *served*: that the two
/// differ does not mean that anything failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServedBy {
    /// Who answered.
    pub name: Name,
    /// Who went on with the answer, in order, where it broke off and was continued.
    pub continued_by: Vec<Name>,
    /// What the caller asked for, where that is known.
    pub requested: Option<Name>,
    /// Whether the answer is a lesser one: from a cache, a static text, a lower tier.
    pub degraded: bool,
    /// What failed on the way.
    pub trail: Trail,
}

impl ServedBy {
    /// Served by `name`, with nothing failed on the way.
    #[must_use]
    pub const fn new(name: Name) -> Self {
        Self {
            name,
            continued_by: Vec::new(),
            requested: None,
            degraded: false,
            trail: Trail::new(),
        }
    }
}

impl fmt::Display for ServedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for name in &self.continued_by {
            write!(f, ", {name}")?;
        }
        Ok(())
    }
}
