//! The layers beside their peers: time, instructions, allocations and sizes, in one run.
//!
//! `cargo bench -p backstop-peers` prints every row, `cargo bench -p backstop-peers -- retry` those
//! with `retry` in their name, and `cargo bench -p backstop-peers -- check` holds our own rows
//! against their limits on instructions, allocations and memory, which unlike times are the same on
//! every machine.
//!
//! The profile is cargo's `bench`, without link-time optimisation: most users build so.

pub mod allocations;

mod bare;
mod circuit;
mod clock;
mod cost;
mod error;
mod instructions;
mod limits;
mod report;
mod row;
mod rows;
mod time;

use std::{io, process::ExitCode};

use allocations::Counter;

/// Does what the arguments of the benchmark say; fails where a limit is not kept.
pub fn run(counter: Counter, arguments: impl Iterator<Item = String>) -> io::Result<ExitCode> {
    // Cargo adds options that are meant for the harness that this program has not.
    let words: Vec<String> = arguments.filter(|word| !word.starts_with('-')).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [instructions::CHILD, filter] => instructions::go(filter),
        ["check"] => return limits::check(counter),
        [] => report::print(counter, "")?,
        [filter, ..] => report::print(counter, filter)?,
    }
    Ok(ExitCode::SUCCESS)
}
