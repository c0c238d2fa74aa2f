//! The series that each call is counted in, found once and kept: to find one by its labels takes
//! longer than to count.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use ::metrics::{Counter, Histogram, counter, histogram};
use backstop_core::Name;

use super::{
    call::{class, kinds},
    names::{
        ATTEMPTS, FIRST_TOKEN, OVERHEAD, REQUEST_DURATION, REQUESTS, TOKENS, TOKENS_PER_SECOND,
    },
};
use crate::call::{Call, Outcome};

/// The series of all calls that have been counted.
#[derive(Default)]
pub(super) struct AllSeries(RwLock<BTreeMap<Labels, Arc<Series>>>);

/// All that sets the series of two calls apart.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct Labels {
    caller: Option<Name>,
    front: &'static str,
    model: Name,
    streamed: bool,
    outcome: &'static str,
    status: &'static str,
    /// Who answered, how that ended, and with what status.
    candidate: Option<(Name, &'static str, &'static str)>,
}

/// The series of calls that have their labels in common. There is none before it is needed, so that
/// no one is shown who never counted anything.
#[derive(Default)]
pub(super) struct Series {
    requests: OnceLock<Counter>,
    duration: OnceLock<Histogram>,
    overhead: OnceLock<Histogram>,
    attempts: OnceLock<Counter>,
    first_token: OnceLock<Histogram>,
    tokens_per_second: OnceLock<Histogram>,
    tokens: [OnceLock<Counter>; 4],
}

impl AllSeries {
    /// Counts one call, by the recorder of this scope.
    pub(super) fn count(&self, call: &Call) {
        let labels = Labels::of(call);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let series = known.get(&labels).cloned();
        drop(known);
        let series = series.unwrap_or_else(|| {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            known.entry(labels.clone()).or_default().clone()
        });
        series.count(call, &labels);
    }
}

impl Labels {
    fn of(call: &Call) -> Self {
        let candidate = call.served.as_ref().map(|served| {
            let name = served.continued_by.last().unwrap_or(&served.name).clone();
            match call.outcome {
                Outcome::Failed(fault) => (name, fault.kind().label(), class(fault)),
                _ => (name, "ok", "2xx"),
            }
        });
        Self {
            caller: call.caller.as_ref().map(|caller| caller.name.clone()),
            front: call.front.as_str(),
            model: call.model.clone(),
            streamed: call.streamed,
            outcome: call.outcome.label(),
            status: call.status_label(),
            candidate,
        }
    }

    fn caller(&self) -> String {
        self.caller.as_deref().unwrap_or_default().to_owned()
    }

    fn model(&self) -> String {
        self.model.to_string()
    }
}

impl Series {
    fn count(&self, call: &Call, labels: &Labels) {
        let taken = call.taken;
        let requests = || {
            counter!(
                REQUESTS,
                "caller" => labels.caller(),
                "front" => labels.front,
                "model" => labels.model(),
                "outcome" => labels.outcome,
                "status" => labels.status,
            )
        };
        self.requests.get_or_init(requests).increment(1);
        let duration = || {
            let streamed = if labels.streamed { "true" } else { "false" };
            histogram!(REQUEST_DURATION, "model" => labels.model(), "streamed" => streamed)
        };
        self.duration.get_or_init(duration).record(taken);
        if let Some(overhead) = call.overhead {
            let of_all = self.overhead.get_or_init(|| histogram!(OVERHEAD));
            of_all.record(overhead);
        }
        let Some((candidate, outcome, status)) = &labels.candidate else {
            return;
        };
        let name = || candidate.to_string();
        let attempts = || counter!(ATTEMPTS, "candidate" => name(), "outcome" => *outcome, "status" => *status);
        self.attempts.get_or_init(attempts).increment(1);
        let first = call.answered.unwrap_or(taken);
        if call.streamed {
            let first_token = || histogram!(FIRST_TOKEN, "candidate" => name());
            let first_token = self.first_token.get_or_init(first_token);
            first_token.record(call.first_token(first));
        }
        let Some(usage) = call.usage else { return };
        let speaking = taken.saturating_sub(first).as_secs_f64();
        if call.streamed && speaking > 0.0 && matches!(call.outcome, Outcome::Completed) {
            let speed = || histogram!(TOKENS_PER_SECOND, "candidate" => name());
            let speed = self.tokens_per_second.get_or_init(speed);
            speed.record(usage.output as f64 / speaking);
        }
        for (series, (kind, tokens)) in self.tokens.iter().zip(kinds(call.parts.rest(usage))) {
            if tokens == 0 {
                continue;
            }
            let counter = || {
                counter!(
                    TOKENS,
                    "caller" => labels.caller(),
                    "candidate" => name(),
                    "model" => labels.model(),
                    "type" => kind,
                )
            };
            series.get_or_init(counter).increment(tokens);
        }
    }
}
