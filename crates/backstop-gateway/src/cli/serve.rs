//! `backstop`, with a config or without.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode};

use backstop_core::BoxError;
use clap::Args;
use tokio::{net::TcpListener, sync::Notify};
use tracing::{info, warn};

use super::say::{say, say_lines};
use crate::{
    config::{Config, write_duration},
    demo::Demo,
    gateway::Gateway,
    log, reload,
    server::{self, Stopped, Workers},
    state, text,
};

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
        match &self.config {
            Some(path) => {
                let config = Config::load(path)?;
                let logging = log::start(self.json, config.telemetry.as_ref());
                let served = self.serve(config, None).await;
                logging.finish().await;
                served
            }
            None => {
                let _logging = log::start(self.json, None);
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
        let listener = listen(config.listen).await?;
        let admin = match config.admin.listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        // One that can't listen must not write over the state of the one that does.
        let keeping = state::keep(&gateway);
        let address = listener.local_addr()?;
        match &demo {
            Some(demo) => say_lines(demo.welcome(&config, address)),
            None => {
                say_lines(text::chains(&config));
                let scheme = if config.tls.is_some() {
                    "https"
                } else {
                    "http"
                };
                say(format_args!("\nlistening on {scheme}://{address}"));
                if let Some(admin) = &admin {
                    say(format_args!(
                        "for the operator on http://{}",
                        admin.local_addr()?
                    ));
                }
            }
        }
        if config.keys.is_empty() {
            info!("nobody needs a key: only this machine can call");
        }
        let admin = admin.map(|listener| gateway.serve_admin(listener));
        let _watching = reload::watch(gateway.clone());
        let workers = Workers::start()?;
        let stopping = Notify::new();
        let stop = async {
            stop.await;
            let time = write_duration(config.limits.shutdown);
            info!("told to stop: what is running may go on for {time}, or until told again");
            stopping.notify_one();
        };
        let told_again = async {
            stopping.notified().await;
            server::signal()?.await;
            io::Result::Ok(())
        };
        tokio::select! {
            stopped = gateway.serve_by(&workers, listener, stop) => if stopped == Stopped::Cut {
                warn!("something was still running when the time to finish was over");
            },
            again = told_again => {
                again?;
                warn!("told to stop again: what was still running is cut off");
            }
        }
        drop((admin, keeping));
        Ok(ExitCode::SUCCESS)
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BoxError> {
    let listener = TcpListener::bind(address).await;
    Ok(listener.map_err(|error| format!("can't listen on {address}: {error}"))?)
}
