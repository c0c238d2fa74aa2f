//! The tables.

use std::io;

use crate::{
    allocations::Counter,
    clock::with_timers,
    cost::{Cost, costs},
    rows::{circuits, rows},
    time::{self, Nanos},
};

/// Measures the rows whose name has `filter` in it, and prints them side by side.
pub(crate) fn print(counter: Counter, filter: &str) -> io::Result<()> {
    let mut rows = with_timers(|| rows(filter));
    let costs = costs(&rows, counter, filter)?;
    let times = with_timers(|| time::measure(&mut rows));
    println!("Per call. Compare times within one run only.\n");
    print_costs(&costs, &times);
    print_circuits(counter, filter)
}

fn print_costs(costs: &[Cost], times: &[Nanos]) {
    println!(
        "| {:46} | {:8} | {:>7} | {:>7} | {:>7} | {:>6} | {:>6} | {:>5} | {:>5} |",
        "row", "path", "ns best", "median", "instr.", "allocs", "bytes", "svc B", "fut B"
    );
    let dash = "-";
    println!(
        "|{dash:-<48}|{dash:-<10}|{dash:->8}:|{dash:->8}:|{dash:->8}:|{dash:->7}:|{dash:->7}:|{dash:->6}:|{dash:->6}:|"
    );
    for (cost, nanos) in costs.iter().zip(times) {
        let instructions = cost
            .instructions
            .map_or_else(String::new, |count| format!("{count:.0}"));
        println!(
            "| {:46} | {:8} | {:7.1} | {:7.1} | {instructions:>7} | {:6} | {:6.0} | {:5} | {:5} |",
            cost.row,
            cost.path.as_str(),
            nanos.best,
            nanos.median,
            cost.allocations,
            cost.bytes,
            cost.sizes.0,
            cost.sizes.1,
        );
    }
}

fn print_circuits(counter: Counter, filter: &str) -> io::Result<()> {
    let circuits = circuits(filter);
    if circuits.is_empty() {
        return Ok(());
    }
    println!("\nMillion calls per second in all: best (median). Bytes on the heap.\n");
    println!(
        "| {:46} | {:>13} | {:>13} | {:>5} | {:>16} |",
        "one circuit", "1 thread", "2 threads", "bytes", "after 1000 calls"
    );
    let dash = "-";
    println!("|{dash:-<48}|{dash:->14}:|{dash:->14}:|{dash:->6}:|{dash:->17}:|");
    for (circuit, [fresh, later]) in circuits.iter().zip(counter.memory(filter)?) {
        let [one, two] = circuit
            .throughput()
            .map(|[best, median]| format!("{best:.1} ({median:.1})"));
        println!(
            "| {:46} | {one:>13} | {two:>13} | {fresh:5} | {later:16} |",
            circuit.name
        );
    }
    Ok(())
}
