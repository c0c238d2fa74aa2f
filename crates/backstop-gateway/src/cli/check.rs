//! `backstop check`

use std::{path::PathBuf, process::ExitCode};

use backstop_core::BoxError;
use clap::Args;

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
        print!("{}", text::chains(&config));
        let warnings = review::review(&config);
        if warnings.is_empty() {
            println!("\nnothing to warn of");
            return Ok(ExitCode::SUCCESS);
        }
        println!();
        for warning in &warnings {
            println!("warning: {warning}");
        }
        Ok(if self.strict {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
