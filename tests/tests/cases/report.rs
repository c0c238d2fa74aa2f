//! What came of all cases, in lines for a person.

use std::{collections::BTreeMap, process::ExitCode};

use crate::outcome::{Replay, Stop};

/// The outcomes, by the ids of the cases.
#[derive(Default)]
pub(crate) struct Report {
    replayed: usize,
    differing: Vec<(String, String)>,
    not_applicable: BTreeMap<String, Vec<String>>,
    failed: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn add(&mut self, id: &str, outcome: Replay) {
        let id = id.to_owned();
        match outcome {
            Ok(()) => self.replayed += 1,
            Err(Stop::Differs(why)) => self.differing.push((id, why)),
            Err(Stop::NotApplicable(why)) => self.not_applicable.entry(why).or_default().push(id),
            Err(Stop::Failed(why)) => self.failed.push((id, why)),
            Err(Stop::Unknown(what)) => self.failed.push((id, format!("not understood: {what}"))),
        }
    }

    /// Prints all of it, the counts last.
    pub(crate) fn print(&self) -> ExitCode {
        for (id, why) in &self.differing {
            println!("differs         {id}: {why}");
        }
        for (why, ids) in &self.not_applicable {
            println!("not applicable  {}: {why}", ids.join(", "));
        }
        for (id, why) in &self.failed {
            println!("FAILED          {id}: {why}");
        }
        let not_applicable: usize = self.not_applicable.values().map(Vec::len).sum();
        println!(
            "{} replayed, {} differing, {not_applicable} not applicable{}",
            self.replayed,
            self.differing.len(),
            match self.failed.len() {
                0 => String::new(),
                n => format!(", {n} FAILED"),
            },
        );
        if self.failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
