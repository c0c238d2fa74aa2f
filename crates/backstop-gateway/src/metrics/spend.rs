//! What has been spent. The recorder's counters hold whole numbers, and money is none.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use crate::{call::Call, ledger::Entry};

const NAME: &str = "backstop_spend_total";

/// The labels, by name.
const LABELS: [&str; 5] = ["billed", "caller", "candidate", "currency", "model"];

/// What has been spent, by its labels.
#[derive(Debug, Default)]
pub(super) struct Spend(Mutex<BTreeMap<[String; 5], f64>>);

impl Spend {
    /// Adds what the attempts of a call cost, and what they may have.
    pub(super) fn add(&self, call: &Call, ledger: &[Entry], currency: &str) {
        let costs = ledger.iter().filter_map(|entry| Some((entry, entry.cost?)));
        for (entry, cost) in costs.filter(|(_, cost)| *cost > 0.0) {
            let labels = [
                entry.billed.label().to_owned(),
                call.caller(),
                entry.candidate.to_string(),
                currency.to_owned(),
                call.model.to_string(),
            ];
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *all.entry(labels).or_default() += cost;
        }
    }

    /// Writes it in Prometheus' text format.
    pub(super) fn render(&self, out: &mut String) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return;
        }
        // Writing to a string can't fail, here and below.
        let _ = writeln!(
            out,
            "# HELP {NAME} What attempts cost by the config's prices, and may have cost.\n\
             # TYPE {NAME} counter"
        );
        for (labels, cost) in all.iter() {
            let pairs = LABELS.iter().zip(labels);
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let _ = writeln!(out, "{NAME}{{{}}} {cost}", pairs.join(","));
        }
    }
}

fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_break_out_of_no_label() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
