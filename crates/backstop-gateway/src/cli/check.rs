//! `backstop check`

use std::{path::PathBuf, process::ExitCode};

use backstop_core::BoxError;
use clap::Args;

use super::say::{say, say_lines};
use crate::{config::Config, gateway::Gateway, review, text};

#[derive(Args, Debug)]
pub(super) struct Check {
    /// The config file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, BoxError> {
        let config = Config::load(&self.file)?;
        // What a config can't tell of itself, a gateway that is made of it does.
        Gateway::new(config.clone())?;
        say_lines(text::chains(&config));
        let warnings = review::review(&config);
        if warnings.is_empty() {
            say("\nnothing to warn of");
            return Ok(ExitCode::SUCCESS);
        }
        say("");
        for warning in &warnings {
            say(format_args!("warning: {warning}"));
        }
        Ok(if self.strict {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
