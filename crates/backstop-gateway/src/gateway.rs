//! The gateway itself: what is running now, and how that is replaced by another config.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use backstop_core::{BoxError, Budget};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle, time};
use tracing::{info, warn};

use crate::{
    alerts::{self, Alerts},
    callers::Callers,
    changes::{self, Changes},
    config::{Config, ConfigError, Files, Telemetry},
    fixed,
    history::History,
    in_flight::InFlight,
    metrics::Metrics,
    server::{self, Acceptor, Workers},
    stack::{self, Chaos, Circuits, ModelStack, Providers},
    stats::Stats,
    text,
    untold::Untold,
};

/// How often samples are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// One endpoint in front of several providers.
///
/// Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
}

/// What lasts as long as the gateway.
pub(crate) struct Shared {
    running: ArcSwap<Running>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) metrics: Metrics,
    pub(crate) stats: Stats,
    /// What the metrics and the stats have not been told of yet.
    pub(crate) untold: Untold,
    pub(crate) history: Arc<History>,
    pub(crate) changes: Changes,
    /// Tells that something was changed by hand.
    pub(crate) altered: Notify,
    chaos: Chaos,
    /// Whether the listener speaks TLS is as it was at the start; its certificate is not.
    tls: Option<Acceptor>,
    /// What the gateway was started with, some of which stays.
    started: Config,
    /// Tells streams that the time to finish is over.
    pub(crate) stopping: Arc<Notify>,
    /// Held by whoever reloads.
    reloading: Mutex<()>,
    /// What was in the files that a config was last read from, whether or not it was refused.
    files: Mutex<Files>,
    /// Why the config was refused that was to be loaded last.
    refusal: Mutex<Option<String>>,
}

/// What a config has been made into. A call keeps the one that it began with.
pub(crate) struct Running {
    pub(crate) config: Config,
    pub(crate) callers: Callers,
    pub(crate) models: BTreeMap<String, ModelStack>,
    pub(crate) circuits: Circuits,
    pub(crate) alerts: Arc<Alerts>,
    providers: Providers,
    /// Bounds second tries over all models: an outage must not double the load.
    budget: Budget,
}

impl Gateway {
    /// Makes the gateway that `config` describes.
    ///
    /// # Errors
    ///
    /// Where the machine won't have it: no TLS roots, say.
    pub fn new(config: Config) -> Result<Self, BoxError> {
        Self::with_chaos(config, Chaos::default())
    }

    /// The same, with faults in front of a provider.
    pub(crate) fn with_chaos(config: Config, chaos: Chaos) -> Result<Self, BoxError> {
        let history = Arc::default();
        let tls = config.tls.as_ref().map(Acceptor::new).transpose()?;
        let running = Running::new(config.clone(), None, &chaos, &history)?;
        Ok(Self {
            shared: Arc::new(Shared {
                running: ArcSwap::from_pointee(running),
                in_flight: Arc::default(),
                metrics: Metrics::new()?,
                stats: Stats::new(),
                untold: Untold::default(),
                history,
                changes: Changes::default(),
                altered: Notify::new(),
                chaos,
                tls,
                reloading: Mutex::default(),
                files: Mutex::new(config.files.clone()),
                started: config,
                stopping: Arc::default(),
                refusal: Mutex::default(),
            }),
        })
    }

    /// Serves on `listener` until `stop` resolves, then lets running responses finish.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> server::Stopped {
        self.serve_by(&Workers::here(), listener, stop).await
    }

    /// Serves as [`serve`](Self::serve) does, each connection by one of these threads.
    pub async fn serve_by(
        &self,
        workers: &Workers,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> server::Stopped {
        let gateway = self.clone();
        let upkeep = tokio::spawn(async move {
            loop {
                time::sleep(UPKEEP).await;
                gateway.tell();
                gateway.shared.metrics.upkeep();
            }
        });
        let alerts = tokio::spawn(alerts::run(self.clone()));
        let limits = self.running().config.limits.clone();
        let tls = self.shared.tls.clone();
        let app = server::App::new(self);
        let last_call = || self.shared.stopping.notify_waiters();
        let stopped = server::serve(workers, listener, tls, app, &limits, stop, last_call).await;
        upkeep.abort();
        alerts.abort();
        self.tell();
        stopped
    }

    /// Serves the operator's part on a listener of its own, to whoever reaches it, for as long as
    /// what this returns lives.
    #[must_use = "serving ends when this is dropped"]
    pub fn serve_admin(&self, listener: TcpListener) -> AdminServer {
        let gateway = self.clone();
        AdminServer(tokio::spawn(async move {
            let app = server::App::operator(&gateway);
            let limits = gateway.running().config.limits.clone();
            let here = Workers::here();
            server::serve(&here, listener, None, app, &limits, pending(), || {}).await;
        }))
    }

    /// Tells of the calls that are over.
    pub(crate) fn tell(&self) {
        self.shared.untold.tell(&self.shared);
    }

    /// Tells of the calls that ended on this thread.
    pub(crate) fn tell_own(&self) {
        self.shared.untold.tell_own(&self.shared);
    }

    /// How candidates have done in all calls that are over.
    pub(crate) fn stats(&self) -> &Stats {
        self.tell();
        &self.shared.stats
    }

    /// What is running now.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.shared.running.load_full()
    }

    /// Goes on by another config, from the next call on. Calls that are running go on by the old
    /// one. Circuits and callers' limits that stay the same keep their state, and what was changed
    /// by hand holds on. A certificate is read again.
    ///
    /// What a listener is, and where spans and states go, stays what it was at the start; the log
    /// and the status page say so where the config says otherwise.
    ///
    /// # Errors
    ///
    /// Where the config is wrong, or would do away with the keys of a gateway that is open to
    /// other machines. The gateway then goes on as it was.
    pub fn reload(&self, config: Result<Config, ConfigError>) -> Result<(), BoxError> {
        self.reload_by(|files| {
            if let Ok(config) = &config {
                files.clone_from(&config.files);
            }
            config
        })
    }

    fn reload_by(
        &self,
        read: impl FnOnce(&mut Files) -> Result<Config, ConfigError>,
    ) -> Result<(), BoxError> {
        let shared = &self.shared;
        // Reloads take turns: what was read last is what runs.
        let turn = shared.reloading.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        // Files may be slow to read, and nobody else waits for that.
        let mut files = self.files();
        let config = read(&mut files);
        *shared.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        // Held from here on, so that nothing is changed by hand in between.
        let mut changes = shared.changes.hold();
        let before = self.running();
        let replaced = config.map_err(BoxError::from).and_then(|config| {
            config.may_listen_on(shared.started.listen)?;
            let running = Running::new(config, Some(&before), &shared.chaos, &shared.history)?;
            if let (Some(acceptor), Some(tls)) = (&shared.tls, &running.config.tls) {
                acceptor.renew(tls)?;
            }
            Ok(running)
        });
        shared.metrics.reload(replaced.is_ok());
        let refusal = match &replaced {
            Ok(running) => {
                match fixed::changed(&shared.started, &running.config).as_slice() {
                    [] => info!("the config has been reloaded"),
                    later => warn!(
                        "the config has been reloaded; these take effect with the next start: {}",
                        later.join(", ")
                    ),
                }
                None
            }
            Err(error) => {
                let error = text::with_causes(&**error);
                warn!("the config has not been reloaded, the old one stays:\n{error}");
                Some(error)
            }
        };
        *shared
            .refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = refusal;
        let running = replaced?;
        changes::apply(&mut changes, &running.models);
        shared.running.store(Arc::new(running));
        Ok(())
    }

    /// The settings of the running config that take effect with the next start.
    pub(crate) fn waiting(&self) -> Vec<&'static str> {
        fixed::changed(&self.shared.started, &self.running().config)
    }

    /// Goes on by what the file says now that the config came from.
    pub(crate) fn reload_file(&self) -> Result<(), BoxError> {
        match &self.running().config.file {
            Some(path) => self.reload_by(|files| {
                *files = Files::default();
                Config::load_noting(path, files)
            }),
            None => Err("the config came from no file".into()),
        }
    }

    /// What was in the files that a config was last read from, whether or not it was refused.
    pub(crate) fn files(&self) -> Files {
        let files = self.shared.files.lock();
        files.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the config was refused that was to be loaded last, if it was.
    pub(crate) fn reload_error(&self) -> Option<String> {
        let refusal = self.shared.refusal.lock();
        refusal.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the config wants spans to be sent.
    #[must_use]
    pub fn telemetry(&self) -> Option<Telemetry> {
        self.running().config.telemetry.clone()
    }

    /// The metrics, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.tell();
        let running = self.running();
        for (name, state) in running.circuits.states() {
            self.shared.metrics.circuit(name, state);
        }
        self.shared.metrics.budget(running.budget.balance());
        self.shared.metrics.in_flight(self.shared.in_flight.count());
        self.shared.metrics.render()
    }
}

impl Running {
    fn new(
        config: Config,
        before: Option<&Self>,
        chaos: &Chaos,
        history: &Arc<History>,
    ) -> Result<Self, BoxError> {
        let nobody = Callers::default();
        let callers = Callers::new(&config.keys, before.map_or(&nobody, |it| &it.callers));
        let circuits = Circuits::new(&config, before.map(|it| &it.circuits), history)?;
        let budget = match before {
            Some(before) if before.config.limits.retry_ratio == config.limits.retry_ratio => {
                before.budget.clone()
            }
            _ => Budget::ratio(config.limits.retry_ratio)?,
        };
        let alerts = match before {
            Some(before) if before.config.alerts == config.alerts => before.alerts.clone(),
            _ => Arc::new(Alerts::new(config.alerts.clone())),
        };
        let providers = Providers::new(&config, before.map(|it| &it.providers))?;
        let models = stack::build(
            &config,
            &circuits,
            &providers,
            &budget,
            chaos,
            before.map(|it| &it.models),
        )?;
        Ok(Self {
            config,
            callers,
            models,
            circuits,
            alerts,
            providers,
            budget,
        })
    }

    /// The model that a caller's `name` means, and the name that the config has for it.
    pub(crate) fn model(&self, name: &str) -> Option<&ModelStack> {
        self.models.get(name).or_else(|| self.models.get("*"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.untold.tell(self);
    }
}

/// Serves the operator's part until it is dropped.
#[derive(Debug)]
pub struct AdminServer(JoinHandle<()>);

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("config", &self.running().config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    fn config(model: &str) -> Result<Config, ConfigError> {
        let toml = format!(
            "[providers.openai]\ndialect = \"openai\"\napi_key = \"key\"\n\
             [models.{model}]\ncandidates = [\"openai:a\", \"openai:b\"]\n"
        );
        Config::parse("test.toml", &toml, &|_| None)
    }

    fn gateway() -> Gateway {
        Gateway::new(config("smart").expect("is right")).expect("can be made")
    }

    #[test]
    fn what_is_changed_by_hand_while_files_are_read_is_done_at_once_and_holds() {
        let gateway = gateway();
        let read = |_: &mut Files| {
            let switched = gateway.switch("smart", "openai:a", false);
            switched.expect("there is such a candidate");
            config("smart")
        };
        gateway.reload_by(read).expect("is right");
        let order = gateway.running().models["smart"].in_order();
        assert!(order.iter().any(|(it, on)| &*it.name == "openai:a" && !on));
    }

    #[test]
    fn of_two_reloads_the_one_that_reads_later_is_what_runs() {
        let gateway = gateway();
        let has_read = AtomicBool::new(false);
        thread::scope(|threads| {
            let first = |_: &mut Files| {
                threads.spawn(|| {
                    gateway.reload_by(|_| {
                        assert!(has_read.load(Ordering::SeqCst), "they take turns");
                        config("later")
                    })
                });
                // Time for the other to come too soon, if it can.
                (0..1000).for_each(|_| thread::yield_now());
                has_read.store(true, Ordering::SeqCst);
                config("sooner")
            };
            gateway.reload_by(first).expect("is right");
        });
        assert!(gateway.running().models.contains_key("later"));
    }
}
