//! Asks, plain and streamed in turns, and takes note of what comes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

use super::report::Phase;

/// How long a request is waited for: far longer than any that is answered.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is seen whether something has come.
const LOOK: Duration = Duration::from_millis(5);

/// What came of one request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// A whole answer, by this candidate, continued by others perhaps.
    Served(String),
    /// An error that says so, before the answer or in the middle of it.
    Failed(String),
    /// No answer, or one that ended without saying that it was not whole.
    Lost(String),
}

/// Workers that ask until told to stop.
pub(super) struct Load {
    workers: JoinSet<()>,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    model: String,
    client: Client,
    asked: Mutex<Vec<Asked>>,
    stop: AtomicBool,
}

impl Load {
    /// So many workers, which rest for so long between requests, as callers do.
    pub(super) fn start(address: SocketAddr, model: &str, workers: usize, rest: Duration) -> Self {
        let shared = Arc::new(Shared {
            url: format!("http://{address}/v1/chat/completions"),
            model: model.to_owned(),
            client: Client::new(),
            asked: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let mut set = JoinSet::new();
        for worker in 0..workers {
            let shared = shared.clone();
            set.spawn(async move {
                let mut turn = worker;
                while !shared.stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let outcome = shared.ask(turn % 2 == 1).await;
                    let ended = Instant::now();
                    shared.note(Asked {
                        began,
                        ended,
                        outcome,
                    });
                    turn += 1;
                    time::sleep(rest).await;
                }
            });
        }
        Self {
            workers: set,
            shared,
        }
    }

    /// What comes of the requests of the next while.
    pub(super) async fn phase(&self, name: &'static str, length: Duration) -> Phase {
        self.shared.take();
        let began = Instant::now();
        time::sleep(length).await;
        Phase::new(name, began, &self.shared.take())
    }

    /// When this candidate has served first, from now on.
    pub(super) async fn until_served_by(
        &self,
        candidate: &str,
        patience: Duration,
    ) -> Option<Instant> {
        self.shared.take();
        let served = async {
            loop {
                let found = self.shared.take().into_iter().find_map(|asked| {
                    (asked.outcome == Outcome::Served(candidate.to_owned())).then_some(asked.ended)
                });
                if let Some(at) = found {
                    return at;
                }
                time::sleep(LOOK).await;
            }
        };
        time::timeout(patience, served).await.ok()
    }

    /// Lets what is running come to its end.
    pub(super) async fn stop(mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        while self.workers.join_next().await.is_some() {}
    }
}

impl Shared {
    fn note(&self, asked: Asked) {
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(asked);
    }

    fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn ask(&self, stream: bool) -> Outcome {
        let body = json!({
            "model": self.model,
            "stream": stream,
            "messages": [{ "role": "user", "content": "Say a sentence of about twenty words." }],
        });
        let request = self
            .client
            .post(&self.url)
            .timeout(PATIENCE)
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Lost(error.to_string()),
        };
        let status = response.status();
        let by = response.headers().get("x-served-by");
        let by = by
            .and_then(|value| value.to_str().ok())
            .unwrap_or("?")
            .to_owned();
        let text = match response.text().await {
            Ok(text) => text,
            Err(error) => return Outcome::Lost(error.to_string()),
        };
        if !status.is_success() {
            return Outcome::Failed(format!("{status}"));
        }
        if !stream || text.trim_end().ends_with("data: [DONE]") {
            Outcome::Served(by)
        } else if text.contains("\"error\"") {
            Outcome::Failed(format!("an answer by {by} broke off"))
        } else {
            Outcome::Lost(format!("an answer by {by} is not whole"))
        }
    }
}
