//! Rehearses an outage: the configured chain, in front of simulated providers that fail one way
//! after the other while it is under load.

mod load;
mod report;

use std::{collections::BTreeMap, time::Duration};

use backstop_core::{BoxError, Name};
use backstop_simulator::{Dialect, Fault, Simulator};
use tokio::{net::TcpListener, sync::oneshot, time::Instant};

use self::load::Load;
pub use self::report::{Phase, Report};
use crate::{
    Gateway,
    config::{Config, Target},
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
    /// Whether limits and waits stay as they are configured, rather than be shortened so that a
    /// drill takes seconds and not minutes.
    pub as_configured: bool,
}

impl Default for Drill {
    fn default() -> Self {
        Self {
            model: None,
            phase: Duration::from_secs(3),
            workers: 8,
            as_configured: false,
        }
    }
}

/// What limits and waits are shortened to.
const SHORT: Duration = Duration::from_secs(1);

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
            .get(&model)
            .ok_or_else(|| format!("no model is named {model}"))?;
        let first = chain
            .candidates
            .first()
            .ok_or("there are no candidates")?
            .clone();
        let Target::Provider {
            provider: failing, ..
        } = &first.target
        else {
            return Err(format!("{} can't fail", first.name).into());
        };
        if !self.as_configured {
            shorten(&mut config);
        }
        let open_for = config.models[&model].breaker.open_for;
        let simulators = simulate(&mut config).await?;
        let failing = simulators
            .get(failing)
            .ok_or("the first candidate has no provider")?;

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // Whoever may call in earnest, the drill may.
        config.keys.clear();
        let gateway = Gateway::new(config)?;
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
        let load = Load::start(address, asked, self.workers);
        let mut report = Report::default();
        for (name, fault) in phases() {
            failing.clear();
            if let Some(fault) = fault {
                failing.fault(fault);
            }
            let phase = load.phase(name, self.phase).await;
            tell(&phase);
            report.add(phase, &first.name);
        }
        failing.clear();
        let mended = Instant::now();
        let patience = open_for.saturating_mul(2).saturating_add(RECOVERY);
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

/// One way to fail after the other, well at the beginning.
fn phases() -> [(&'static str, Option<Fault>); 7] {
    [
        ("healthy", None),
        ("overloaded", Some(Fault::overloaded())),
        ("hanging", Some(Fault::hang())),
        ("resetting", Some(Fault::reset())),
        ("cutting", Some(Fault::cut(2))),
        ("stalling", Some(Fault::stall(2))),
        ("denying", Some(Fault::denied())),
    ]
}

fn shorten(config: &mut Config) {
    for model in config.models.values_mut() {
        let timeout = &mut model.timeout;
        timeout.first_token = timeout.first_token.min(SHORT);
        timeout.answer = timeout.answer.min(SHORT);
        timeout.idle = timeout.idle.min(SHORT);
        model.breaker.open_for = model.breaker.open_for.min(SHORT);
    }
}

/// Puts a simulated provider in the place of each.
async fn simulate(config: &mut Config) -> Result<BTreeMap<Name, Simulator>, BoxError> {
    let mut simulators = BTreeMap::new();
    for (name, provider) in &mut config.providers {
        let dialect = match provider.dialect {
            backstop_llm::Dialect::Anthropic => Dialect::Anthropic,
            backstop_llm::Dialect::Gemini => Dialect::Gemini,
            _ => Dialect::OpenAi,
        };
        let simulator = Simulator::builder(dialect)
            .name(&**name)
            .log_capacity(0)
            .start()
            .await?;
        provider.base_url = simulator.base_url();
        provider.query.clear();
        simulators.insert(name.clone(), simulator);
    }
    Ok(simulators)
}
