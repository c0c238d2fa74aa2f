//! `cargo bench -p backstop-peers`: every row side by side. With a name or a part of one, only the
//! rows of that name; with `check`, our own rows are held against their limits.

use std::{env, io, process::ExitCode};

use backstop_peers::allocations::Counter;

fn main() -> io::Result<ExitCode> {
    let counter = Counter(env!("CARGO_BIN_EXE_backstop-peers-allocations"));
    backstop_peers::run(counter, env::args().skip(1))
}
