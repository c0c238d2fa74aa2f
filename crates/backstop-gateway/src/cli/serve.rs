//! `backstop`, with a config or without.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use backstop_core::BoxError;
use clap::Args;
use tokio::net::TcpListener;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::{config::Config, demo::Demo, gateway::Gateway, reload, server, server::Stopped, text};

#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The config file.
    #[arg(long, short, value_name = "FILE", env = "BACKSTOP_CONFIG")]
    config: Option<PathBuf>,
    /// Where to listen, in place of what the config says.
    #[arg(long, short, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Log lines as JSON.
    #[arg(long)]
    json: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<ExitCode, BoxError> {
        log(self.json);
        match &self.config {
            Some(path) => {
                let config = Config::load(path)?;
                self.serve(config, None).await
            }
            None => {
                let demo = Demo::start().await?;
                let config = demo.config()?;
                self.serve(config, Some(demo)).await
            }
        }
    }

    async fn serve(self, mut config: Config, demo: Option<Demo>) -> Result<ExitCode, BoxError> {
        if let Some(listen) = self.listen {
            config.listen_on(listen)?;
        }
        let stop = server::signal()?;
        let gateway = Gateway::new(config.clone())?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| format!("can't listen on {}: {error}", config.listen))?;
        let address = listener.local_addr()?;
        match &demo {
            Some(demo) => print!("{}", demo.welcome(&config, address)),
            None => {
                print!("{}", text::chains(&config));
                println!("\nlistening on http://{address}");
            }
        }
        if config.keys.is_empty() {
            info!("nobody needs a key: only this machine can call");
        }
        let _watching = reload::watch(gateway.clone());
        let stopped = gateway.serve(listener, stop).await;
        if stopped == Stopped::Cut {
            warn!("something was still running when the time to finish was over");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Logs to standard error, by the filter in `RUST_LOG`.
fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,backstop::trace=off"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Where a test has set up logging already, that stays.
    let _ = if json {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
}
