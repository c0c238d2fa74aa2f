//! The limits of our own rows, and the check that they are kept.

use std::{io, process::ExitCode};

use crate::{
    allocations::Counter,
    clock::with_timers,
    cost::{Cost, costs},
    row::Path::{self, Failing, Pending, Ready, Rejected},
    rows::{circuits, rows},
};

/// What the names of our own rows have in them.
const OURS: &str = "backstop";

/// The instructions of a call, the bare service's own included.
struct Limit {
    row: &'static str,
    path: Path,
    /// A call must not take more: what it takes today, and a little room for another compiler.
    at_most: f64,
    /// What is aimed at.
    goal: f64,
}

const fn limit(row: &'static str, path: Path, at_most: f64, goal: f64) -> Limit {
    Limit {
        row,
        path,
        at_most,
        goal,
    }
}

const LIMITS: [Limit; 15] = [
    limit("backstop timeout", Ready, 115.0, 130.0),
    limit("backstop timeout", Pending, 665.0, 900.0),
    limit("backstop retry", Ready, 114.0, 130.0),
    limit("backstop retry", Failing, 1150.0, 1150.0),
    limit("backstop retry + budget", Ready, 131.0, 150.0),
    limit("backstop retry + budget", Failing, 1290.0, 1290.0),
    limit("backstop circuit breaker, consecutive", Ready, 110.0, 110.0),
    limit(
        "backstop circuit breaker, consecutive",
        Rejected,
        290.0,
        200.0,
    ),
    limit("backstop circuit breaker, default", Ready, 300.0, 300.0),
    limit("backstop circuit breaker, default", Rejected, 290.0, 200.0),
    limit(
        "backstop circuit breaker, default, after 1 M calls",
        Ready,
        300.0,
        300.0,
    ),
    limit("backstop fallback", Ready, 113.0, 60.0),
    limit("backstop served-by, typed", Ready, 97.0, 60.0),
    limit("stack: backstop", Ready, 630.0, 400.0),
    limit("stack: backstop", Pending, 1325.0, 1150.0),
];

/// What a stamp on an `http::Response` allocates: its extensions, at the first insert.
const EXTENSIONS: (&str, f64) = ("backstop served-by, http", 3.0);

/// The most that a call may allocate: nothing, but for the trail, once something has failed.
fn allocations(cost: &Cost) -> f64 {
    match cost.path {
        _ if cost.row == EXTENSIONS.0 => EXTENSIONS.1,
        Ready | Pending | Rejected => 0.0,
        Failing => 1.0,
    }
}

/// The most bytes that a circuit may take on the heap, whatever its window and its calls.
const CIRCUIT: f64 = 512.0;

/// What a window over calls takes besides: two bits of each, and a place for them.
const LAST_CALLS: (&str, f64) = ("backstop circuit breaker, last 1000 calls", 320.0);

/// Says of every row of ours whether it keeps its limits; fails where one does not.
pub(crate) fn check(counter: Counter) -> io::Result<ExitCode> {
    let rows = with_timers(|| rows(OURS));
    let costs = costs(&rows, counter, OURS)?;
    for Limit { row, path, .. } in &LIMITS {
        assert!(
            costs
                .iter()
                .any(|cost| (cost.row, cost.path) == (*row, *path)),
            "{row}, {path:?}: a limit for a row that is not there"
        );
    }
    let dear = costs.iter().filter(|cost| !keeps_limits(cost)).count();
    let large = memory(counter)?;
    let broken = dear + large;
    if broken == 0 {
        println!("All limits are kept.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("Limits broken: {broken}.");
    Ok(ExitCode::FAILURE)
}

/// How many circuits of ours take more than they may, or grow by their calls.
fn memory(counter: Counter) -> io::Result<usize> {
    let taken = circuits(OURS).into_iter().zip(counter.memory(OURS)?);
    Ok(taken
        .filter(|(circuit, [fresh, later])| {
            let more = if circuit.name == LAST_CALLS.0 {
                LAST_CALLS.1
            } else {
                0.0
            };
            let limit = CIRCUIT + more;
            let is_kept = *later <= limit && later <= fresh;
            println!(
                "{} {:50} {later} bytes of {limit}, {fresh} when new",
                if is_kept { "kept  " } else { "BROKEN" },
                circuit.name,
            );
            !is_kept
        })
        .count())
}

fn keeps_limits(cost: &Cost) -> bool {
    let limit = LIMITS
        .iter()
        .find(|limit| (limit.row, limit.path) == (cost.row, cost.path));
    let instructions = cost.instructions.unwrap_or_default();
    let is_kept = cost.allocations <= allocations(cost)
        && limit.is_none_or(|limit| instructions <= limit.at_most);
    let of = limit.map_or_else(String::new, |limit| {
        format!(" of {} (goal {})", limit.at_most, limit.goal)
    });
    println!(
        "{:6} {:50} {:8} {instructions:5.0} instructions{of}, {} allocations of {}",
        if is_kept { "kept" } else { "BROKEN" },
        cost.row,
        cost.path.as_str(),
        cost.allocations,
        allocations(cost),
    );
    is_kept
}
