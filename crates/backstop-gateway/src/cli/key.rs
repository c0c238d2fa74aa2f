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
        println!("    [keys.{}]", toml_key(&self.name));
        println!("    sha256 = \"{}\"", key.hash());
        Ok(ExitCode::SUCCESS)
    }
}

/// A name as TOML has it: quoted, unless it is a plain word.
fn toml_key(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    // A string of JSON is one of TOML too.
    serde_json::Value::from(name).to_string()
}
