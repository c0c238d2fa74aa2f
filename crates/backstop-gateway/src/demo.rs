//! What `backstop` does without a config: simulated providers inside, and an outage to try.

use std::{fmt::Write as _, io, net::SocketAddr};

use backstop_simulator::{Dialect, Pace, Simulator};

use crate::{
    config::{Config, ConfigError},
    text,
};

const LAST_RESORT: &str = "All models are away for a moment. Please try again soon.";

/// Two simulated providers, and a config with a chain over them.
#[derive(Debug)]
pub struct Demo {
    primary: Simulator,
    backup: Simulator,
}

impl Demo {
    /// Starts the providers, on free ports of this machine.
    ///
    /// # Errors
    ///
    /// Where no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(Pace::default()).await
    }

    /// Starts the providers, speaking at this pace.
    ///
    /// # Errors
    ///
    /// Where no port can be had.
    pub async fn start_at(pace: Pace) -> io::Result<Self> {
        Ok(Self {
            primary: Simulator::builder(Dialect::Anthropic)
                .pace(pace)
                .start()
                .await?,
            backup: Simulator::builder(Dialect::OpenAi)
                .pace(pace)
                .start()
                .await?,
        })
    }

    /// The first provider of the chain.
    #[must_use]
    pub const fn primary(&self) -> &Simulator {
        &self.primary
    }

    /// The second provider of the chain.
    #[must_use]
    pub const fn backup(&self) -> &Simulator {
        &self.backup
    }

    /// The config, as a person would write it.
    #[must_use]
    pub fn toml(&self) -> String {
        format!(
            r#"listen = "127.0.0.1:4000"

[providers.anthropic]
dialect = "anthropic"
base_url = "{}"

[providers.openai]
dialect = "openai"
base_url = "{}"

[models."*"]
candidates = [
    "anthropic:claude-opus-4-8",
    "openai:gpt-5.5",
    {{ reply = "{LAST_RESORT}" }},
]
breaker = {{ open_for = "10s" }}
timeout = {{ first_token = "5s", idle = "5s", total = "60s" }}
"#,
            self.primary.base_url(),
            self.backup.base_url(),
        )
    }

    /// The config, read.
    ///
    /// # Errors
    ///
    /// Never, unless this file is wrong.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Config::parse("demo", &self.toml(), &|_| None)
    }

    /// What a person needs to know who has just started it.
    #[must_use]
    pub fn welcome(&self, config: &Config, address: SocketAddr) -> String {
        let control = format!("{}/_/fault", self.primary.url());
        let mut out = String::from("No config: these providers are simulated.\n\n");
        out.push_str(&text::chains(config));
        // Writing to a string can't fail.
        let _ = write!(
            out,
            r#"
Ask:
  curl -si http://{address}/v1/chat/completions -H 'content-type: application/json' \
    -d '{{"model": "smart", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

Break the primary, and ask again:
  curl -X PUT {control} -d overloaded
  curl -X PUT {control} -d hang        # reset, cut, stall, html, denied, …

Mend it:
  curl -X DELETE {control}

listening on http://{address}
"#
        );
        out
    }
}
