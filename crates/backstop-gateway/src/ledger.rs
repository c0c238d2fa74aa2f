//! What each attempt of a call cost.
//!
//! An attempt that failed is not hidden in the winner's account: where it may have been billed, it
//! says so. Metrics, log lines and alerts all read these entries; whoever wants to keep them reads
//! them in the same place.

use std::{fmt, time::Duration};

use backstop_core::{Fault, FaultKind, Name};
use backstop_llm::Usage;

use crate::{
    call::{Call, Outcome},
    config::{Config, Price, Target},
    metrics,
};

/// Whether an attempt was billed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Billed {
    /// The provider did no work, or none that it charges for.
    No,
    /// It may have: it was at work when it was last heard of.
    Unknown,
    /// It answered.
    Yes,
}

impl Billed {
    /// The word for it in metrics and log lines.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
            Self::Yes => "yes",
        }
    }

    /// What a failure of this kind means for the bill.
    const fn of(kind: FaultKind) -> Self {
        match kind {
            FaultKind::TimedOut | FaultKind::Interrupted | FaultKind::Malformed => Self::Unknown,
            _ => Self::No,
        }
    }
}

/// One attempt's account.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) candidate: Name,
    pub(crate) billed: Billed,
    pub(crate) fault: Option<Fault>,
    pub(crate) duration: Duration,
    /// Where it is not known, what is estimated: the request's tokens, and those of what came.
    pub(crate) usage: Usage,
    /// None where the config has no price for it.
    pub(crate) cost: Option<f64>,
}

/// The accounts of all attempts of a call, in order. What was passed over without being called is
/// not among them.
pub(crate) fn entries(call: &Call, config: &Config) -> Vec<Entry> {
    let price = |candidate: &str| price(config, &call.model, candidate);
    let mut entries: Vec<Entry> = Vec::new();
    let mut broken = call.parts.broken().iter().peekable();
    for attempt in call.trail.attempts() {
        let (Some(candidate), 1..) = (&attempt.candidate, attempt.number) else {
            continue;
        };
        let billed = Billed::of(attempt.fault.kind());
        let usage = match billed {
            Billed::No => Usage::default(),
            // One that broke off in the middle of its answer gave a part of it.
            _ => match broken.next_if(|(by, _)| by == candidate) {
                Some((_, part)) => *part,
                None => Usage::new(call.estimated_input, 0),
            },
        };
        entries.push(Entry {
            candidate: candidate.clone(),
            billed,
            fault: Some(attempt.fault),
            duration: attempt.duration,
            usage,
            cost: price(candidate).map(|price| price.of(&usage)),
        });
    }
    if let Some(served) = &call.served {
        let candidate = served.continued_by.last().unwrap_or(&served.name).clone();
        let usage = call.used_last();
        let (billed, fault) = match call.outcome {
            Outcome::Completed => (Billed::Yes, None),
            Outcome::Failed(fault) => (Billed::Unknown, Some(fault)),
            Outcome::Left => (Billed::Unknown, None),
        };
        entries.push(Entry {
            cost: price(&candidate).map(|price| price.of(&usage)),
            candidate,
            billed,
            fault,
            duration: call.taken,
            usage,
        });
    }
    entries
}

/// What a candidate of a model costs, where the config says so.
fn price(config: &Config, model: &str, candidate: &str) -> Option<Price> {
    let of = |candidates: &[crate::config::Candidate]| {
        let candidate = candidates.iter().find(|it| *it.name == *candidate)?;
        match &candidate.target {
            Target::Provider { price, .. } => *price,
            Target::Cached(_) | Target::Reply(_) => None,
        }
    };
    let own = config
        .models
        .get(model)
        .and_then(|model| of(&model.candidates));
    // One that the request named may be another model's.
    own.or_else(|| {
        config
            .models
            .values()
            .find_map(|model| of(&model.candidates))
    })
}

/// An amount without the noise in its last digits.
pub(crate) fn readable(amount: f64) -> f64 {
    (amount * 1e9).round() / 1e9
}

/// The accounts of attempts, for a line of the log:
/// `openai:gpt-5.5 timed_out 30000ms billed=unknown`.
pub(crate) struct Line<'a>(pub(crate) &'a [Entry]);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, entry) in self.0.iter().enumerate() {
            let separator = if i > 0 { "; " } else { "" };
            let outcome = entry.fault.map_or("ok", metrics::outcome);
            for text in [separator, &entry.candidate, " ", outcome, " "] {
                f.write_str(text)?;
            }
            let Usage { input, output, .. } = entry.usage;
            let millis = entry.duration.as_millis() as u64;
            write!(f, "{millis}ms tokens={input}+{output} billed=")?;
            f.write_str(entry.billed.label())?;
            if let Some(cost) = entry.cost {
                write!(f, " cost={}", readable(cost))?;
            }
        }
        Ok(())
    }
}
