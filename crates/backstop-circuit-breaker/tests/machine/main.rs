//! The circuit by hand, told the time.

mod bench;
mod defects;
mod orders;
mod permits;
mod restored;
mod rules;
mod tails;
mod waits;
