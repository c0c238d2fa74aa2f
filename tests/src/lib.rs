//! What crosses crates.

/// The examples of the front page.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("mistakes.md")]
mod mistakes {}
