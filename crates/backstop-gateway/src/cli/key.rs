//! `backstop key`

use std::process::ExitCode;

use backstop_core::BoxError;
use clap::Args;

use crate::callers::NewKey;

#[derive(Args, Debug)]
pub(super) struct Key {
    /// The caller's name, as logs and metrics will have it.
    #[arg(default_value = "NAME")]
    name: String,
}

impl Key {
    pub(super) fn run(self) -> Result<ExitCode, BoxError> {
        let key = NewKey::generate()?;
        println!("Give this to the caller; it is not shown again:\n");
        println!("    {}\n", key.expose());
        println!("Write this into the config:\n");
        println!("    [keys.{}]", self.name);
        println!("    sha256 = \"{}\"", key.hash());
        Ok(ExitCode::SUCCESS)
    }
}
