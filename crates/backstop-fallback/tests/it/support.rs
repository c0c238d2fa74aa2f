//! Services whose answers a test can change, and gates.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{BoxError, Classify, Fault, FaultKind, Gate, Verdict, classify_fn, context};
use backstop_fallback::{Candidate, Chain};
use tokio::{sync::watch, time::Instant};
use tower::{Service, service_fn};

/// A service that does as it is told, and counts.
#[derive(Clone, Debug)]
pub(crate) struct Replica(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    says: watch::Sender<&'static str>,
    fails: bool,
    takes: Mutex<Duration>,
    calls: AtomicU32,
    dropped: AtomicU32,
    last: AtomicU32,
}

impl Replica {
    fn new(says: &'static str, fails: bool) -> Self {
        Self(Arc::new(Inner {
            says: watch::Sender::new(says),
            fails,
            takes: Mutex::default(),
            calls: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            last: AtomicU32::new(0),
        }))
    }

    pub(crate) fn up() -> Self {
        Self::new("up", true)
    }

    pub(crate) fn down() -> Self {
        Self::new("down", true)
    }

    /// Doesn't answer before it is released.
    pub(crate) fn slow() -> Self {
        Self::new("", true)
    }

    /// An error with this text.
    pub(crate) fn failing(text: &'static str) -> Self {
        Self::new(text, true)
    }

    /// A response with this text.
    pub(crate) fn answering(text: &'static str) -> Self {
        Self::new(text, false)
    }

    /// The same, which takes so long.
    pub(crate) fn taking(self, millis: u64) -> Self {
        *self.0.takes.lock().expect("no test panics with it") = Duration::from_millis(millis);
        self
    }

    pub(crate) fn set(&self, says: &'static str) {
        self.0.says.send_replace(says);
    }

    pub(crate) fn release(&self, says: &'static str) {
        self.set(says);
    }

    pub(crate) fn calls(&self) -> u32 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// How many calls were dropped before they had ended.
    pub(crate) fn dropped(&self) -> u32 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn last_request(&self) -> u32 {
        self.0.last.load(Ordering::Relaxed)
    }
}

impl Service<u32> for Replica {
    type Response = &'static str;
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<&'static str, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        self.0.last.store(request, Ordering::Relaxed);
        let inner = self.0.clone();
        Box::pin(async move {
            let mut ended = Ended(inner.clone(), false);
            let takes = *inner.takes.lock().expect("no test panics with it");
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            let mut says = inner.says.subscribe();
            let says = *says
                .wait_for(|says| !says.is_empty())
                .await
                .expect("the sender lives as long");
            ended.1 = true;
            match says {
                "up" => Ok("up"),
                "alternatives" if context::alternatives() => Ok("with others"),
                "alternatives" => Ok("alone"),
                text if inner.fails => Err(text.into()),
                text => Ok(text),
            }
        })
    }
}

struct Ended(Arc<Inner>, bool);

impl Drop for Ended {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A gate that a test opens.
#[derive(Debug)]
pub(crate) struct Door(AtomicBool);

impl Door {
    pub(crate) fn shut() -> Self {
        Self(AtomicBool::new(false))
    }

    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Gate for Door {
    fn admits(&self, _: Instant) -> Result<(), Fault> {
        if self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        let wait = Duration::from_secs(41);
        Err(Fault::new(FaultKind::Refused)
            .because("circuit open")
            .with_retry_after(wait))
    }
}

pub(crate) type Reply = Result<&'static str, BoxError>;

/// A service that fails with this text.
pub(crate) fn fails(
    with: &'static str,
) -> impl Service<u32, Response = &'static str, Error = BoxError, Future: Send> + Clone {
    service_fn(move |_: u32| async move { Reply::Err(with.into()) })
}

/// A service that answers with this text.
pub(crate) fn answers(
    with: &'static str,
) -> impl Service<u32, Response = &'static str, Error = BoxError, Future: Send> + Clone {
    service_fn(move |_: u32| async move { Reply::Ok(with) })
}

/// A chain of three: `a`, `b`, `c`.
pub(crate) fn three(a: &Replica, b: &Replica, c: &Replica) -> Chain<Replica> {
    let candidates = [("a", a), ("b", b), ("c", c)];
    Chain::new(candidates.map(|(name, replica)| Candidate::new(name, replica.clone())))
        .expect("the names differ")
}

/// Reads the kind of a failure out of a response's or an error's text.
pub(crate) fn by_text() -> impl Classify<&'static str, BoxError> + Clone {
    fn classify(result: Result<&&'static str, &BoxError>) -> Verdict {
        let text = match result {
            Ok(text) => (*text).to_owned(),
            Err(error) => error.to_string(),
        };
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.label() == text);
        match kind {
            Some(kind) => Fault::new(kind).into(),
            None if text == "cancelled" => Verdict::Neutral,
            None => Verdict::Success,
        }
    }
    classify_fn(classify)
}
