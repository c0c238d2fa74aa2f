//! `backstop probe`

use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode};

use backstop_core::BoxError;
use clap::Args;

use super::say::say;
use crate::{
    config::Config,
    probe::{self, Measured},
};

#[derive(Args, Debug)]
pub(super) struct Probe {
    /// The config file.
    #[arg(long, short, value_name = "FILE", env = "BACKSTOP_CONFIG")]
    config: PathBuf,
    /// The model whose candidates are measured; all of them, where none is named.
    #[arg(long, short)]
    model: Option<String>,
    /// How often each candidate is asked. Each time is billed as a short answer.
    #[arg(long, default_value = "3")]
    tries: NonZeroUsize,
}

impl Probe {
    pub(super) async fn run(self) -> Result<ExitCode, BoxError> {
        let config = Config::load(&self.config)?;
        let models: Vec<&String> = match &self.model {
            Some(model) => vec![model],
            None => config.models.keys().collect(),
        };
        for model in &models {
            super::known(&config, model)?;
        }
        let mut all_answered = true;
        for model in models {
            say(format_args!("{model}\n{}", Measured::HEADING));
            let measured = probe::probe(&config, model, self.tries.get(), |one| say(one)).await?;
            all_answered &= measured.iter().all(Measured::answered);
            let order = probe::suggest(&measured);
            let present = measured.iter().map(|it| &it.candidate);
            if !order.iter().eq(present) {
                say(format_args!("\nby first token: {}", order.join(", ")));
            }
            say("");
        }
        Ok(if all_answered {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
