//! What every way of every row costs.

use std::io;

use crate::{
    allocations::Counter,
    instructions,
    row::{Path, Row},
};

/// What one way of one row costs, per call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) row: &'static str,
    pub(crate) path: Path,
    /// The size of the service, and of its future.
    pub(crate) sizes: (usize, usize),
    /// None where valgrind is not installed.
    pub(crate) instructions: Option<f64>,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
}

/// The costs of all ways of the rows, which are those that `filter` lets through, in order.
pub(crate) fn costs(rows: &[Row], counter: Counter, filter: &str) -> io::Result<Vec<Cost>> {
    let instructions = instructions::count(filter)?;
    if instructions.is_none() {
        println!("valgrind is not installed: instructions are not counted.");
    }
    let allocations = counter.calls(filter)?;
    let ways = rows
        .iter()
        .flat_map(|row| row.cases.iter().map(move |case| (row, case)));
    let costs: Vec<Cost> = ways
        .zip(&allocations)
        .enumerate()
        .map(|(index, ((row, case), &[allocations, bytes]))| Cost {
            row: row.name,
            path: case.path,
            sizes: row.sizes,
            instructions: instructions.as_ref().map(|counts| counts[index]),
            allocations,
            bytes,
        })
        .collect();
    assert_eq!(costs.len(), allocations.len(), "every way has been counted");
    Ok(costs)
}
