//! Tells someone when too much fails, or costs too much: once, and once more when it is over.

mod teller;
mod watch;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backstop_core::FaultKind;
use tokio::time::{self, Instant};
use tracing::warn;

use self::{
    teller::Teller,
    watch::{Notice, Watch},
};
use crate::{call::Outcome, config, gateway::Gateway};

/// How often it is seen whether something is over: calls may have ceased altogether.
const EVERY: Duration = Duration::from_secs(1);

/// Watches what the config says is to be watched.
#[derive(Debug)]
pub(crate) struct Alerts {
    pub(crate) config: config::Alerts,
    watched: Mutex<Watched>,
}

#[derive(Debug)]
struct Watched {
    errors: Watch,
    spend: Watch,
}

impl Alerts {
    pub(crate) fn new(config: config::Alerts) -> Self {
        let errors = Watch::new("error rate", config.error_rate, config.window);
        let spend = Watch::new("spend", config.spend, config.spend_window);
        Self {
            config,
            watched: Mutex::new(Watched { errors, spend }),
        }
    }

    /// Takes in one call that is over.
    pub(crate) fn call(&self, outcome: Outcome, cost: f64) {
        if self.config.webhook.is_none() {
            return;
        }
        let failed = match outcome {
            // What is wrong with a request is no matter of ours.
            Outcome::Failed(fault) => Some(!matches!(
                fault.kind(),
                FaultKind::Invalid | FaultKind::TooLarge | FaultKind::Filtered
            )),
            Outcome::Completed => Some(false),
            // Who left says nothing of how it would have ended, and it costs all the same.
            Outcome::Left => None,
        };
        let now = Instant::now();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = failed {
            watched.errors.add(now, f64::from(u8::from(failed)), 1);
        }
        watched.spend.add(now, cost, 1);
    }

    /// What there is to tell by now.
    fn notices(&self) -> Vec<Notice> {
        let now = Instant::now();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let min_calls = u64::from(self.config.min_calls.get());
        let rate = |sum: f64, calls: u64, raised: bool| {
            // Too few calls raise nothing. Fewer than half as many are no reason to go on with an
            // alert, which does not come and go with their number either.
            let enough = calls.saturating_mul(1 + u64::from(raised)) >= min_calls;
            if enough { sum / calls as f64 } else { 0.0 }
        };
        let errors = watched.errors.check(now, rate);
        let spend = watched.spend.check(now, |sum, _, _| sum);
        errors.into_iter().chain(spend).collect()
    }
}

/// Tells of alerts for as long as it runs.
pub(crate) async fn run(gateway: Gateway) {
    let mut teller = match Teller::new() {
        Ok(teller) => teller,
        Err(error) => return warn!("alerts can't be sent: {error}"),
    };
    loop {
        time::sleep(EVERY).await;
        gateway.tell();
        let alerts = gateway.running().alerts.clone();
        let Some(webhook) = &alerts.config.webhook else {
            continue;
        };
        for notice in alerts.notices() {
            warn!(target: "backstop::alert", "{notice}");
            teller.add(notice);
        }
        teller.tell(webhook).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn does_not_come_and_go_with_the_number_of_calls() {
        let alerts = Alerts::new(config::Alerts {
            webhook: Some(backstop_llm::Secret::new("http://127.0.0.1/")),
            error_rate: Some(0.5),
            window: Duration::from_secs(100),
            ..config::Alerts::default()
        });
        let failed = Outcome::Failed(backstop_core::Fault::new(FaultKind::Unavailable));
        let mut told = Vec::new();
        // So often that there are now as many in the window as are needed, and now fewer.
        for seconds in [4, 6].repeat(30) {
            time::advance(Duration::from_secs(seconds)).await;
            alerts.call(failed, 0.0);
            told.extend(alerts.notices());
        }
        assert!(matches!(&told[..], [notice] if notice.raised), "{told:?}");
        time::advance(Duration::from_secs(60)).await;
        let told = alerts.notices();
        assert!(matches!(&told[..], [notice] if !notice.raised), "{told:?}");
    }
}
