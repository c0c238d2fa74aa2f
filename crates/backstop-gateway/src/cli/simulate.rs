//! `backstop simulate`

use std::{net::SocketAddr, process::ExitCode};

use backstop_core::BoxError;
use backstop_simulator::{Dialect, Pace, Simulator};
use clap::Args;

use super::say::say;
use crate::server;

#[derive(Args, Debug)]
pub(super) struct Simulate {
    /// Where the first provider listens; the next one takes the next port.
    #[arg(long, short, value_name = "ADDR", default_value = "127.0.0.1:4010")]
    listen: SocketAddr,
    /// Answer without pauses and remember no call, to be loaded.
    #[arg(long)]
    instant: bool,
    /// What they speak: anthropic, openai, gemini.
    #[arg(value_name = "DIALECT", default_values = ["anthropic", "openai"])]
    dialects: Vec<Dialect>,
}

impl Simulate {
    pub(super) async fn run(self) -> Result<ExitCode, BoxError> {
        if !self.listen.ip().is_loopback() {
            return Err("simulated providers take orders from anyone: \
                        they listen on loopback only, such as 127.0.0.1:4010"
                .into());
        }
        let stop = server::signal()?;
        let mut running = Vec::new();
        let mut address = self.listen;
        for dialect in self.dialects {
            let builder = Simulator::builder(dialect);
            let builder = if self.instant {
                builder.pace(Pace::INSTANT).log_capacity(0)
            } else {
                builder
            };
            let simulator = builder.listen(address).await?;
            let (base, url) = (simulator.base_url(), simulator.url());
            say(format_args!("{dialect:<10} {base}"));
            say(format_args!(
                "  break it curl -X PUT {url}/_/fault -d overloaded"
            ));
            say(format_args!("  mend it  curl -X DELETE {url}/_/fault"));
            running.push(simulator);
            // Port 0 stands for any free one, and so does each of the following.
            if address.port() != 0 {
                address.set_port(
                    address
                        .port()
                        .checked_add(1)
                        .ok_or("there are no more ports")?,
                );
            }
        }
        stop.await;
        Ok(ExitCode::SUCCESS)
    }
}
