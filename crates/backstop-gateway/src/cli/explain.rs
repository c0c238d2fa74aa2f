//! `backstop explain`

use std::{path::PathBuf, process::ExitCode, time::Duration};

use backstop_core::BoxError;
use clap::Args;
use reqwest::{Client, Method, Url};

use super::say::say_lines;
use crate::operator::Explanation;

/// A gateway that is there answers this soon.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The model asked for.
    #[arg(long, short, required_unless_present = "request")]
    model: Option<String>,
    /// A request in OpenAI's language: some candidates may not be able to take it.
    #[arg(long, short, value_name = "FILE", conflicts_with = "model")]
    request: Option<PathBuf>,
    /// Where the gateway runs.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    gateway: Url,
    /// The admin key, where it needs one.
    #[arg(long, env = "BACKSTOP_ADMIN_KEY", hide_env_values = true)]
    key: Option<String>,
}

impl Explain {
    pub(super) async fn run(self) -> Result<ExitCode, BoxError> {
        let mut url = self.gateway.join("/admin/explain")?;
        if let Some(model) = &self.model {
            url.query_pairs_mut().append_pair("model", model);
        }
        let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let mut request = match &self.request {
            Some(path) => {
                let body = std::fs::read(path);
                let body = body.map_err(|error| format!("{}: {error}", path.display()))?;
                client.request(Method::POST, url).body(body)
            }
            None => client.request(Method::GET, url),
        };
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await?;
        let status = response.status();
        let body = response.text().await?;
        if !status.is_success() {
            // The gateway's own word, if it is that, else whoever's is there.
            let told = serde_json::from_str::<serde_json::Value>(&body);
            let told = told.unwrap_or_default();
            if let Some(why) = told["error"]["message"].as_str() {
                return Err(why.into());
            }
            return Err(format!("{status}: {}", body.trim()).into());
        }
        say_lines(serde_json::from_str::<Explanation>(&body)?);
        Ok(ExitCode::SUCCESS)
    }
}
