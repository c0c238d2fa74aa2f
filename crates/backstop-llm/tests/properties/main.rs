//! What must hold whatever the input: streams cut up anywhere mean the same, what is written in a
//! dialect is read as it was, and nothing panics.

mod arbitrary;
mod bytes;
mod gemini;
mod round_trip;
