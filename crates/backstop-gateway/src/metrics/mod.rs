//! What is counted and measured, in Prometheus' words.
//!
//! Each gateway has a recorder of its own, so that several can live in one process. Labels take
//! their values from the config and from fixed lists, never from a caller.

mod call;
mod names;
mod series;
mod spend;

use std::fmt;

use ::metrics::{counter, gauge, with_local_recorder};
use backstop_circuit_breaker::State;
use backstop_llm::Dialect;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

pub(crate) use self::call::outcome;
use self::{
    names::{
        BUDGET, CIRCUIT, IN_FLIGHT, OVERHEAD, OVERHEAD_SECONDS, RATES, REFUSALS, RELOADS, SECONDS,
        TOKENS_PER_SECOND,
    },
    series::AllSeries,
    spend::Spend,
};
use crate::{call::Call, ledger::Entry};

/// The recorder of one gateway.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    series: AllSeries,
    spend: Spend,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, BuildError> {
        let named = |name: &str| Matcher::Full(name.to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(named(OVERHEAD), &OVERHEAD_SECONDS)?
            .set_buckets_for_metric(named(TOKENS_PER_SECOND), &RATES)?
            .build_recorder();
        with_local_recorder(&recorder, names::describe);
        Ok(Self {
            handle: recorder.handle(),
            recorder,
            series: AllSeries::default(),
            spend: Spend::default(),
        })
    }

    /// Everything, in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        let mut told = self.handle.render();
        self.spend.render(&mut told);
        told
    }

    /// Puts samples into their buckets. Until then they pile up, so it is done every few seconds,
    /// whether anyone asks for the metrics or not.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub(crate) fn in_flight(&self, now: usize) {
        self.record(|| gauge!(IN_FLIGHT).set(now as f64));
    }

    /// The state of one candidate's circuit: 0 closed, 1 half-open, 2 open.
    pub(crate) fn circuit(&self, candidate: &str, state: State) {
        let state = match state {
            State::HalfOpen => 1,
            State::Open | State::ForcedOpen => 2,
            _ => 0,
        };
        self.record(|| gauge!(CIRCUIT, "candidate" => candidate.to_owned()).set(state));
    }

    pub(crate) fn reload(&self, accepted: bool) {
        let result = if accepted { "accepted" } else { "refused" };
        self.record(|| counter!(RELOADS, "result" => result).increment(1));
    }

    /// Second tries that the budget has left.
    pub(crate) fn budget(&self, left: f64) {
        self.record(|| gauge!(BUDGET).set(left));
    }

    /// A request was refused before any candidate was chosen for it.
    pub(crate) fn refused(&self, front: Dialect, status: u16) {
        self.record(|| {
            counter!(REFUSALS, "front" => front.as_str(), "status" => status.to_string())
                .increment(1);
        });
    }

    /// Everything about one call, when it is over.
    pub(crate) fn call(&self, call: &Call, ledger: &[Entry], currency: &str) {
        self.record(|| {
            self.series.count(call);
            call::note(call);
        });
        self.spend.add(call, ledger, currency);
    }

    fn record(&self, record: impl FnOnce()) {
        with_local_recorder(&self.recorder, record);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
