//! Rehearses an outage: the configured chain under load, while its first provider fails one way
//! after the other.

mod broken;
mod load;
mod outage;
mod report;

use std::time::Duration;

use backstop_core::BoxError;
use tokio::{net::TcpListener, sync::oneshot, time::Instant};

pub use self::report::{Phase, Report};
use self::{
    load::Load,
    outage::{Outage, Way},
};
use crate::{
    Gateway,
    config::{Alerts, Config, Ordering, Target},
    stack::Chaos,
};

/// How a drill is done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Drill {
    /// The model whose chain is rehearsed; the first one, where none is named.
    pub model: Option<String>,
    /// How long each phase lasts.
    pub phase: Duration,
    /// How many requests run at a time.
    pub workers: usize,
    /// How long a worker rests between requests.
    pub rest: Duration,
    /// Whether limits and waits stay as they are configured, rather than be shortened so that a
    /// drill takes seconds and not minutes.
    pub as_configured: bool,
    /// Whether the providers are the configured ones, and faults are put in front of the first,
    /// rather than simulated.
    pub chaos: bool,
}

impl Default for Drill {
    /// With simulated providers: eight requests at a time, three seconds a phase.
    fn default() -> Self {
        Self {
            model: None,
            phase: Duration::from_secs(3),
            workers: 8,
            rest: Duration::from_millis(5),
            as_configured: false,
            chaos: false,
        }
    }
}

impl Drill {
    /// In front of the configured providers, which take their time and send a bill: two requests
    /// at a time, fifteen seconds a phase.
    #[must_use]
    pub fn with_chaos() -> Self {
        Self {
            phase: Duration::from_secs(15),
            workers: 2,
            rest: Duration::from_millis(250),
            chaos: true,
            ..Self::default()
        }
    }
}

/// What limits and waits are shortened to.
const SHORT: Duration = Duration::from_secs(1);

/// What limits are shortened to where real models have to keep them.
const SHORT_FOR_REAL: Duration = Duration::from_secs(10);

/// How long the first candidate may take to serve again, beyond its circuit's wait.
const RECOVERY: Duration = Duration::from_secs(10);

impl Drill {
    /// Does it, and tells each phase to `tell` when it is over.
    ///
    /// # Errors
    ///
    /// Where it can't be done: no such model, no port to be had.
    pub async fn run(
        &self,
        mut config: Config,
        mut tell: impl FnMut(&Phase),
    ) -> Result<Report, BoxError> {
        let model = match &self.model {
            Some(name) => name.clone(),
            None => config
                .models
                .keys()
                .next()
                .ok_or("there are no models")?
                .clone(),
        };
        let chain = config
            .models
            .get_mut(&model)
            .ok_or_else(|| format!("no model is named {model}"))?;
        if chain.order == Ordering::Latency {
            // Who is the fastest may change while it lasts, and then nobody would be the first.
            chain.order = Ordering::Priority;
        }
        let first = chain.first().ok_or("there are no candidates")?.clone();
        let Target::Provider {
            provider: failing, ..
        } = first.target
        else {
            return Err(format!("{} can't fail", first.name).into());
        };
        if !self.as_configured {
            shorten(&mut config, if self.chaos { SHORT_FOR_REAL } else { SHORT });
        }
        let open_cap = config.models[&model].breaker.open_cap;
        let (outage, chaos) = if self.chaos {
            Outage::real(failing)
        } else {
            let outage = Outage::simulated(failing, &mut config).await?;
            (outage, Chaos::default())
        };

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // Whoever may call in earnest, the drill may, and nobody is to be woken up by it.
        config.keys.clear();
        config.tls = None;
        config.alerts = Alerts::default();
        let gateway = Gateway::with_chaos(config, chaos)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn({
            let gateway = gateway.clone();
            async move {
                let stopped = async {
                    // Dropped is as good as told.
                    let _ = stopped.await;
                };
                gateway.serve(listener, stopped).await
            }
        });
        // A model that takes any name is asked for by one that nobody has.
        let asked = if model == "*" { "drill" } else { &model };
        let load = Load::start(address, asked, self.workers, self.rest);
        let mut report = Report::default();
        for way in [None].into_iter().chain(Way::ALL.map(Some)) {
            outage.turn(way);
            let phase = load
                .phase(way.map_or("healthy", Way::name), self.phase)
                .await;
            tell(&phase);
            report.add(phase, &first.name);
        }
        outage.turn(None);
        let mended = Instant::now();
        let patience = open_cap.saturating_mul(2).saturating_add(RECOVERY);
        let recovered = load.until_served_by(&first.name, patience).await;
        report.recovery = recovered.map(|at| at.saturating_duration_since(mended));
        let phase = load.phase("recovered", self.phase).await;
        tell(&phase);
        report.add(phase, &first.name);
        load.stop().await;
        drop(stop);
        serving.await?;
        Ok(report)
    }
}

fn shorten(config: &mut Config, limit: Duration) {
    for model in config.models.values_mut() {
        let timeout = &mut model.timeout;
        timeout.first_token = timeout.first_token.min(limit);
        timeout.answer = timeout.answer.min(limit);
        timeout.idle = timeout.idle.min(limit);
        model.breaker.open_for = model.breaker.open_for.min(SHORT);
        model.breaker.open_cap = model.breaker.open_for;
    }
}
