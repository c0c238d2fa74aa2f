//! `backstop drill`

use std::{path::PathBuf, process::ExitCode, time::Duration};

use backstop_core::BoxError;
use clap::Args;

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
    /// How many seconds each phase lasts.
    #[arg(long, default_value_t = 3.0)]
    phase: f64,
    /// How many requests run at a time.
    #[arg(long, default_value_t = 8)]
    workers: usize,
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
        let drill = drill::Drill {
            model: self.model,
            phase: Duration::try_from_secs_f64(self.phase)?,
            workers: self.workers.max(1),
            as_configured: self.as_configured,
        };
        println!("{}", Phase::HEADING);
        let report = drill.run(config, |phase| println!("{phase}")).await?;
        println!("\n{report}");
        Ok(if report.passed() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
