use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    ask::Ask,
    builder::Builder,
    dialect::Dialect,
    fault::Fault,
    faults::Faults,
    key::Key,
    log::{Call, Log, Outcome},
    pace::Pace,
    problem::Problem,
    script::{Reply, Script},
    server::{Command, Server},
    turn::Prefill,
};

/// A stand-in for a provider, listening on loopback until it is dropped.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use backstop_simulator::{Dialect, Fault, Simulator};
///
/// let anthropic = Simulator::builder(Dialect::Anthropic).start().await?;
/// println!("base URL: {}", anthropic.base_url());
///
/// anthropic.fault(Fault::overloaded().times(2));
/// // … two calls fail with 529, the third one succeeds …
/// assert!(anthropic.calls().is_empty());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// What the handle, the server and each call share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dialect: Dialect,
    pub(crate) name: String,
    pub(crate) api_key: Option<Key>,
    pub(crate) models: Vec<String>,
    pub(crate) pace: Pace,
    pub(crate) prefill: Prefill,
    pub(crate) script: Script,
    pub(crate) faults: Faults,
    pub(crate) log: Arc<Log>,
}

// ===== impl Simulator =====

impl Simulator {
    /// Begins a stand-in that speaks this dialect.
    pub fn builder(dialect: Dialect) -> Builder {
        Builder::new(dialect)
    }

    pub(crate) fn serve(listener: TcpListener, shared: Shared) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(shared);
        let (commands, orders) = mpsc::channel(1);
        let server = Server {
            listener: Some(listener),
            address,
            shared: Arc::clone(&shared),
            commands: orders,
        };
        let task = tokio::spawn(server.run());
        Ok(Self {
            address,
            shared,
            commands,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its root, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client of this dialect takes for a base URL: its root, with `/v1` after it for
    /// OpenAI's.
    #[must_use]
    pub fn base_url(&self) -> String {
        match self.shared.dialect {
            Dialect::OpenAi => format!("{}/v1", self.url()),
            Dialect::Anthropic | Dialect::Gemini => self.url(),
        }
    }

    /// The dialect that it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// The name that it calls itself in its replies.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Sets a fault in place of those that are set. It meets the calls that come from now on.
    pub fn fault(&self, fault: Fault) {
        self.faults([fault]);
    }

    /// Sets faults that meet the calls one after the other, each as many times as it says. One that
    /// does not say stays.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.set(faults);
    }

    /// Takes every fault away. A call that hangs already goes on hanging.
    pub fn clear(&self) {
        self.faults([]);
    }

    /// Gives this reply to every request from now on.
    pub fn reply(&self, reply: Reply) {
        self.shared.script.fix(reply);
    }

    /// Has this function write the replies from now on.
    pub fn reply_with(&self, writer: impl Fn(&Ask) -> Reply + Send + Sync + 'static) {
        self.shared.script.write_with(writer);
    }

    /// Goes back to replies made from the request.
    pub fn reply_from_request(&self) {
        self.shared.script.clear();
    }

    /// The last calls, the oldest first. Control calls are not among them.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.log.calls()
    }

    /// How many calls came since the start, whether or not the log still has them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.log.seen()
    }

    /// Forgets the calls that came.
    pub fn clear_calls(&self) {
        self.shared.log.clear();
    }

    /// Waits for a call of which `wanted` is true, and returns it as it was then. It may have come
    /// before.
    pub async fn wait_for_call(&self, mut wanted: impl FnMut(&Call) -> bool) -> Call {
        self.shared
            .log
            .wait_until(|calls| calls.iter().find(|call| wanted(call)).cloned())
            .await
    }

    /// Waits until no call is open, and returns them all.
    pub async fn wait_until_idle(&self) -> Vec<Call> {
        let idle = |calls: &[Call]| calls.iter().all(|call| call.outcome != Outcome::Open);
        self.shared
            .log
            .wait_until(|calls| idle(calls).then(|| calls.to_vec()))
            .await
    }

    /// Drops every connection and stops listening, so that connections are refused, as if the
    /// process had been killed.
    pub async fn go_down(&self) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(Command::Down(done)).await.is_ok() {
            let _ = is_done.await;
        }
    }

    /// Listens again, where it did before.
    ///
    /// # Errors
    ///
    /// When something else listens there by now.
    pub async fn come_up(&self) -> io::Result<()> {
        let gone = || io::Error::other("the stand-in has been shut down");
        let (done, is_done) = oneshot::channel();
        self.commands
            .send(Command::Up(done))
            .await
            .map_err(|_| gone())?;
        is_done.await.map_err(|_| gone())?
    }

    /// Drops every connection, stops listening for good, and waits until that is done.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // Cancelled is what it was asked to be.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// ===== impl Shared =====

impl Shared {
    /// Checks that a model is one of those that are known, where any are.
    pub(crate) fn check_model(&self, model: &str) -> Result<(), Problem> {
        let any = self.models.is_empty() || model.is_empty();
        if any || self.models.iter().any(|known| known == model) {
            Ok(())
        } else {
            Err(Problem::NoSuchModel)
        }
    }
}
