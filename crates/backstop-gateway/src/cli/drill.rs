//! `backstop drill`

use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode, time::Duration};

use backstop_core::BoxError;
use clap::Args;

use super::say::say;
use crate::{
    config::Config,
    demo::Demo,
    drill::{self, Phase},
};

#[derive(Args, Debug)]
pub(super) struct Drill {
    /// The config file; without one, the chain that `backstop` has without one.
    #[arg(long, short, value_name = "FILE", env = "BACKSTOP_CONFIG")]
    config: Option<PathBuf>,
    /// The model whose chain is rehearsed.
    #[arg(long, short)]
    model: Option<String>,
    /// Ask the configured providers in earnest, and put faults in front of the first of them.
    /// They are real calls, and are billed.
    #[arg(long, requires = "config")]
    chaos: bool,
    /// How many seconds each phase lasts: 3, or 15 with real providers.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    phase: Option<Duration>,
    /// How many requests run at a time: 8, or 2 with real providers.
    #[arg(long)]
    workers: Option<NonZeroUsize>,
    /// Keep limits and waits as they are configured: a drill may then take minutes.
    #[arg(long)]
    as_configured: bool,
}

impl Drill {
    pub(super) async fn run(self) -> Result<ExitCode, BoxError> {
        let config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Demo::start().await?.config()?,
        };
        if let Some(model) = &self.model {
            super::known(&config, model)?;
        }
        let mut drill = if self.chaos {
            drill::Drill::with_chaos()
        } else {
            drill::Drill::default()
        };
        drill.model = self.model;
        drill.as_configured = self.as_configured;
        drill.phase = self.phase.unwrap_or(drill.phase);
        drill.workers = self.workers.map_or(drill.workers, NonZeroUsize::get);
        say(Phase::HEADING);
        let report = drill.run(config, |phase| say(phase)).await?;
        say(format_args!("\n{report}"));
        Ok(if report.passed() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// The length of a phase: one in which nothing could happen would show nothing.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    let phase = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if phase < Duration::from_millis(100) {
        return Err("too short for anything to happen: at least 0.1".to_owned());
    }
    Ok(phase)
}
