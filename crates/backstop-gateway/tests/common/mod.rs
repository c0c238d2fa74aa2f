//! A gateway over real sockets, in front of simulated providers.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod fronts;
pub(crate) mod paths;

use std::{net::SocketAddr, time::Duration};

use backstop_gateway::{Gateway, config::Config, server::Stopped};
use backstop_simulator::{Dialect, Fault, Pace, Reply, Simulator};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// What the primary says when it is well.
pub(crate) const PRIMARY: &str =
    "The primary says hello in rather many words, one after the other.";
/// What the backup says.
pub(crate) const BACKUP: &str = "The backup says hello.";

/// What the two cost, for a config.
pub(crate) const PRICES: &str = r#"
[prices]
"anthropic:claude-opus-4-8" = { input = 5.0, output = 25.0 }
"openai:gpt-5.5" = { input = 1.0, output = 4.0 }
"#;

/// Nothing in these tests takes this long unless something is broken.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// A provider that answers with this, at once.
pub(crate) async fn simulator(dialect: Dialect, reply: Reply) -> Simulator {
    Simulator::builder(dialect)
        .pace(Pace::INSTANT)
        .reply(reply)
        .start()
        .await
        .expect("a port is free")
}

/// The value of the first series of this name that has all these labels, or parts of them.
pub(crate) fn sample(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let mut lines = metrics.lines();
    let line = lines
        .find(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
    let line = line.unwrap_or_else(|| panic!("no {name} {labels:?} in {metrics}"));
    let value = line.rsplit(' ').next().unwrap_or_default();
    value.parse().expect("is a number")
}

/// A gateway that is listening.
pub(crate) struct Running {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Stopped>,
}

impl Running {
    /// Starts what this config describes, on a free port.
    pub(crate) async fn start(toml: &str) -> Self {
        let config = Config::parse("test.toml", toml, &|_| Some("sk-secret-key".to_owned()));
        Self::of(config.expect("the config is right")).await
    }

    /// Starts what this config says, on a free port.
    pub(crate) async fn of(config: Config) -> Self {
        let gateway = Gateway::new(config).expect("can be made");
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("is bound");
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn({
            let gateway = gateway.clone();
            async move {
                let stop = async {
                    // Dropped is as good as told.
                    let _ = stopped.await;
                };
                gateway.serve(listener, stop).await
            }
        });
        Self {
            gateway,
            address,
            client: Client::new(),
            stop: Some(stop),
            serving,
        }
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Stopped {
        self.stop.take();
        self.serving.await.expect("does not panic")
    }

    /// Tells it to stop, and does not wait.
    pub(crate) fn begin_to_stop(&mut self) {
        self.stop.take();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client
            .post(self.url(path))
            .timeout(BOUND)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).timeout(BOUND)
    }

    /// Asks in OpenAI's language.
    pub(crate) async fn chat(&self, body: Value) -> Response {
        self.post("/v1/chat/completions", &body)
            .send()
            .await
            .expect("an answer comes")
    }

    /// Asks plainly, and gives back what was answered.
    pub(crate) async fn answer(&self) -> Answer {
        Answer::read(self.chat(hello()).await).await
    }

    /// Asks for a stream, and gives back what was answered.
    pub(crate) async fn streamed(&self) -> Answer {
        Answer::read(self.chat(hello_streamed()).await).await
    }
}

pub(crate) fn hello() -> Value {
    json!({ "model": "smart", "messages": [{ "role": "user", "content": "Hello!" }] })
}

pub(crate) fn hello_streamed() -> Value {
    let mut body = hello();
    body["stream"] = Value::Bool(true);
    body
}

/// An answer in OpenAI's language, plain or streamed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("the body comes to its end"),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn served_by(&self) -> &str {
        self.header("x-served-by").unwrap_or("nobody")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }

    /// The data of each event of a stream.
    pub(crate) fn events(&self) -> impl Iterator<Item = &str> {
        self.body
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(str::trim_start)
    }

    /// Whether the stream came to its proper end.
    pub(crate) fn is_done(&self) -> bool {
        self.events().last() == Some("[DONE]")
    }

    /// The error of a stream that broke off.
    pub(crate) fn stream_error(&self) -> Option<Value> {
        self.events()
            .filter_map(|data| serde_json::from_str::<Value>(data).ok())
            .find(|event| event.get("error").is_some())
    }

    /// The text of either kind of answer.
    pub(crate) fn text(&self) -> String {
        if self.body.starts_with('{') {
            let json = self.json();
            return json["choices"][0]["message"]["content"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
        }
        self.events()
            .filter_map(|data| serde_json::from_str::<Value>(data).ok())
            .filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect()
    }
}

/// Two simulated providers, and a gateway in front of them.
pub(crate) struct Setup {
    pub(crate) primary: Simulator,
    pub(crate) backup: Simulator,
    pub(crate) gateway: Running,
}

impl Setup {
    /// With short limits, so that what hangs is noticed soon.
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// The same, with these lines more about the model.
    pub(crate) async fn with(model: &str) -> Self {
        Self::configured(model, "").await
    }

    pub(crate) async fn configured(model: &str, more: &str) -> Self {
        let primary = simulator(Dialect::Anthropic, Reply::text(PRIMARY)).await;
        let backup = simulator(Dialect::OpenAi, Reply::text(BACKUP)).await;
        let gateway = Running::start(&toml(&primary, &backup, model, more)).await;
        Self {
            primary,
            backup,
            gateway,
        }
    }

    /// Makes a call of the operator's.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.gateway.client.request(method, self.gateway.url(path));
        let request = request
            .timeout(BOUND)
            .header("content-type", "application/json")
            .body(body.to_string());
        Answer::read(request.send().await.expect("an answer comes")).await
    }

    /// Breaks the primary.
    pub(crate) fn fault(&self, fault: Fault) {
        self.primary.fault(fault);
    }
}

/// The config of a [`Setup`].
pub(crate) fn toml(primary: &Simulator, backup: &Simulator, model: &str, more: &str) -> String {
    let timeout = if model.contains("timeout") {
        ""
    } else {
        "timeout = { first_token = \"1s\", answer = \"1s\", idle = \"1s\", total = \"10s\" }"
    };
    let retry = if model.contains("retry") {
        ""
    } else {
        "retry = { attempts = 1 }"
    };
    format!(
        r#"
[providers.anthropic]
dialect = "anthropic"
base_url = "{}"
api_key = "${{ANTHROPIC_API_KEY}}"

[providers.openai]
dialect = "openai"
base_url = "{}"
api_key = "${{OPENAI_API_KEY}}"

[models.smart]
candidates = ["anthropic:claude-opus-4-8", "openai:gpt-5.5"]
{timeout}
{retry}
{model}

{more}
"#,
        primary.base_url(),
        backup.base_url(),
    )
}
