//! The circuit by hand, told the time.

mod bench;
mod defects;
mod rules;
mod tails;
