//! Time per call, in rounds that take turns, so that whatever else the machine does meanwhile
//! falls on all rows alike. Only the ratios within one run mean anything.

use std::time::Duration;

use tokio::time::Instant;

use crate::row::{Case, Row};

const ROUNDS: usize = 25;
const ROUND: Duration = Duration::from_millis(1);

/// Nanoseconds per call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nanos {
    pub(crate) best: f64,
    pub(crate) median: f64,
}

/// The times of every case of every row, in order.
pub(crate) fn measure(rows: &mut [Row]) -> Vec<Nanos> {
    let mut cases: Vec<(&mut Case, u64, Vec<f64>)> = rows
        .iter_mut()
        .flat_map(|row| &mut row.cases)
        .map(|case| {
            let calls = calls_in_a_round(case);
            (case, calls, Vec::with_capacity(ROUNDS))
        })
        .collect();
    for _ in 0..ROUNDS {
        for (case, calls, times) in &mut cases {
            times.push(time(case, *calls));
        }
    }
    cases
        .into_iter()
        .map(|(_, _, mut times)| {
            times.sort_by(f64::total_cmp);
            Nanos {
                best: times[0],
                median: times[ROUNDS / 2],
            }
        })
        .collect()
}

/// How many calls fit into a round, an even number.
fn calls_in_a_round(case: &mut Case) -> u64 {
    const PROBE: u64 = 1_000;
    case.run(PROBE);
    let fits = ROUND.as_nanos() as f64 / time(case, PROBE);
    (fits as u64 / 2 * 2).max(PROBE)
}

/// The nanoseconds that one of `calls` took.
fn time(case: &mut Case, calls: u64) -> f64 {
    let start = Instant::now();
    case.run(calls);
    start.elapsed().as_nanos() as f64 / calls as f64
}
