//! The `backstop` program: reads the command line, and does what it says.

use std::process::ExitCode;

use backstop_gateway::{cli::Cli, text};
use clap::Parser;
use mimalloc::MiMalloc;

/// A call makes many small allocations, on one thread after another. The system's allocators are
/// slower at that, musl's by far, and so is this one's third version.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", text::with_causes(&*error));
            ExitCode::from(2)
        }
    }
}
