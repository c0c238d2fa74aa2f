//! The command line.

mod check;
mod drill;
mod explain;
mod key;
mod probe;
mod say;
mod serve;
mod simulate;

use std::process::ExitCode;

use backstop_core::BoxError;
use clap::{Parser, Subcommand};

use crate::config::Config;

/// One OpenAI- and Anthropic-compatible endpoint in front of several providers, which keeps
/// answering when one of them does not.
///
/// Without a config it starts simulated providers of its own, to try an outage by hand.
#[derive(Debug, Parser)]
#[command(name = "backstop", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads a config, draws its chains, and says what is wrong or doubtful.
    Check(check::Check),
    /// Rehearses an outage, with simulated providers in the place of the configured ones or with
    /// faults in front of these.
    Drill(drill::Drill),
    /// Asks a running gateway who would be asked for a request now, and why.
    Explain(explain::Explain),
    /// Makes a caller's key, and what to write into the config for it.
    Key(key::Key),
    /// Measures each candidate from here, and suggests an order.
    Probe(probe::Probe),
    /// Starts simulated providers and nothing else.
    Simulate(simulate::Simulate),
}

impl Cli {
    /// Does what the command line asks for.
    ///
    /// # Errors
    ///
    /// Where it can't be done: a wrong config, an address already in use.
    pub async fn run(self) -> Result<ExitCode, BoxError> {
        match self.command {
            None => self.serve.run().await,
            Some(Command::Check(check)) => check.run(),
            Some(Command::Drill(drill)) => drill.run().await,
            Some(Command::Explain(explain)) => explain.run().await,
            Some(Command::Key(key)) => key.run(),
            Some(Command::Probe(probe)) => probe.run().await,
            Some(Command::Simulate(simulate)) => simulate.run().await,
        }
    }
}

/// Whether the config has a model of this name.
fn known(config: &Config, model: &str) -> Result<(), BoxError> {
    if config.models.contains_key(model) {
        return Ok(());
    }
    let names: Vec<_> = config.models.keys().map(String::as_str).collect();
    Err(format!(
        "no model is named {model:?}: there are {}",
        names.join(", ")
    )
    .into())
}
