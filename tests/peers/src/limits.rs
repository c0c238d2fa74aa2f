//! The limits of our own rows, and the check that they are kept.

use std::{io, process::ExitCode};

use crate::{
    allocations::Counter,
    clock::with_timers,
    cost::{Cost, costs},
    row::Path::{self, Failing, Pending, Ready, Rejected},
    rows::rows,
};

/// What the names of our own rows begin with.
const OURS: &str = "backstop";

/// The most instructions that a call may take, the service's own included: those are 26 where it is
/// ready and 56 where it is pending first.
const INSTRUCTIONS: [(&str, Path, f64); 2] = [
    ("backstop timeout", Ready, 130.0),
    ("backstop timeout", Pending, 900.0),
];

/// The most that a call may allocate: nothing, but for the trail, once something has failed.
fn allocations(path: Path) -> f64 {
    match path {
        Ready | Pending | Rejected => 0.0,
        Failing => 1.0,
    }
}

/// Says of every row of ours whether it keeps its limits; fails where one does not.
pub(crate) fn check(counter: Counter) -> io::Result<ExitCode> {
    let rows = with_timers(|| rows(OURS));
    let costs = costs(&rows, counter, OURS)?;
    for (row, path, _) in INSTRUCTIONS {
        assert!(
            costs
                .iter()
                .any(|cost| (cost.row, cost.path) == (row, path)),
            "{row}, {path:?}: a limit for a row that is not there"
        );
    }
    let broken = costs.iter().filter(|cost| !keeps_limits(cost)).count();
    if broken == 0 {
        println!("All limits are kept.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("Limits broken: {broken}.");
    Ok(ExitCode::FAILURE)
}

fn keeps_limits(cost: &Cost) -> bool {
    let limit = INSTRUCTIONS
        .iter()
        .find(|(row, path, _)| (*row, *path) == (cost.row, cost.path))
        .map(|(_, _, limit)| *limit);
    let instructions = cost.instructions.unwrap_or_default();
    let is_kept = cost.allocations <= allocations(cost.path)
        && limit.is_none_or(|limit| instructions <= limit);
    println!(
        "{:6} {:46} {:8} {instructions:5.0} instructions{}, {} allocations of {}",
        if is_kept { "kept" } else { "BROKEN" },
        cost.row,
        cost.path.as_str(),
        limit.map_or_else(String::new, |limit| format!(" of {limit}")),
        cost.allocations,
        allocations(cost.path),
    );
    is_kept
}
