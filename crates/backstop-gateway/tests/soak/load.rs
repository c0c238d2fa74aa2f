//! A steady load: plain and streamed calls in every front, and callers who leave.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use reqwest::Client;
use tokio::{task::JoinSet, time};

use crate::{
    TEXT,
    fronts::{FRONTS, Front},
};

/// How long a worker rests between calls.
const REST: Duration = Duration::from_millis(40);

/// One in so many callers leaves when the answer has begun.
const LEAVES: usize = 23;

/// No call takes so long, whatever fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many wrong answers are told of.
const TOLD: usize = 10;

/// What came of the calls.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Answered whole, word for word.
    pub(crate) whole: AtomicU64,
    /// Left by the caller while the answer came.
    pub(crate) left: AtomicU64,
    /// Anything else, and what it was.
    pub(crate) wrong: AtomicU64,
    pub(crate) told: Mutex<Vec<String>>,
}

/// Workers that call until told to stop.
pub(crate) struct Load {
    workers: JoinSet<()>,
    stop: Arc<AtomicBool>,
    pub(crate) counts: Arc<Counts>,
}

impl Load {
    pub(crate) fn start(url: &str, workers: usize) -> Self {
        let counts = Arc::<Counts>::default();
        let stop = Arc::<AtomicBool>::default();
        let mut set = JoinSet::new();
        for worker in 0..workers {
            let (counts, stop, url) = (counts.clone(), stop.clone(), url.to_owned());
            set.spawn(async move {
                let client = Client::builder().timeout(PATIENCE).build();
                let client = client.expect("it can be made");
                let mut turn = worker;
                while !stop.load(Relaxed) {
                    let front = FRONTS[turn % FRONTS.len()];
                    let leaves = front.streamed && turn % LEAVES == 0;
                    counts.note(front, call(&client, &url, front, leaves).await);
                    turn += 1;
                    time::sleep(REST).await;
                }
            });
        }
        Self {
            workers: set,
            stop,
            counts,
        }
    }

    /// Lets what is under way come to its end.
    pub(crate) async fn stop(mut self) -> Arc<Counts> {
        self.stop.store(true, Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.expect("no worker panics");
        }
        self.counts
    }
}

impl Counts {
    /// How many calls were made.
    pub(crate) fn all(&self) -> u64 {
        self.whole.load(Relaxed) + self.left.load(Relaxed) + self.wrong.load(Relaxed)
    }

    fn note(&self, front: Front, outcome: Result<bool, String>) {
        match outcome {
            Ok(true) => self.whole.fetch_add(1, Relaxed),
            Ok(false) => self.left.fetch_add(1, Relaxed),
            Err(wrong) => {
                let mut told = self.told.lock().expect("nobody panicked");
                if told.len() < TOLD {
                    told.push(format!("{front:?}: {wrong}"));
                }
                self.wrong.fetch_add(1, Relaxed)
            }
        };
    }
}

/// Whether the answer was read to its end, or what was wrong with it.
async fn call(client: &Client, url: &str, front: Front, leaves: bool) -> Result<bool, String> {
    let asked = client
        .post(format!("{url}{}", front.path))
        .header("content-type", "application/json")
        .body(front.body("Count.").to_string())
        .send();
    let mut response = asked.await.map_err(|error| format!("lost: {error:?}"))?;
    let status = response.status();
    if leaves && status.is_success() {
        let first = response.chunk().await;
        return first.map(|_| false).map_err(|error| format!("{error:?}"));
    }
    let body = response.text().await;
    let body = body.map_err(|error| format!("truncated: {error:?}"))?;
    let read = front.read(&body);
    if status.is_success() && read.ended && !read.error && read.text == TEXT {
        Ok(true)
    } else {
        Err(format!("{status} {body}"))
    }
}
