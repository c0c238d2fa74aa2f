//! `backstop key`

use std::process::ExitCode;

use backstop_core::BoxError;
use clap::{Args, builder::NonEmptyStringValueParser};

use super::say::say;
use crate::callers::NewKey;

#[derive(Args, Debug)]
pub(super) struct Key {
    /// The caller's name, as logs and metrics will have it.
    #[arg(default_value = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,
}

impl Key {
    pub(super) fn run(self) -> Result<ExitCode, BoxError> {
        let key = NewKey::generate()?;
        say("Give this to the caller; it is not shown again:\n");
        say(format_args!("    {}\n", key.expose()));
        say("Write this into the config:\n");
        say(format_args!("    [keys.{}]", toml_key(&self.name)));
        say(format_args!("    sha256 = \"{}\"", key.hash()));
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
