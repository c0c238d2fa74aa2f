//! What is said to a person. That nobody reads on (`backstop check FILE | head`) is no failure.

use std::{
    fmt,
    io::{self, Write as _},
};

/// Says this, and ends the line.
pub(super) fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Says this, which ends its lines itself.
pub(super) fn say_lines(text: impl fmt::Display) {
    let mut out = io::stdout();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}
