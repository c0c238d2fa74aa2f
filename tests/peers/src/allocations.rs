//! Allocations and bytes per call, counted by a program whose allocator counts.

use std::{
    io,
    process::{Command, Stdio},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region};

use crate::{
    clock::with_timers,
    rows::{circuits, rows},
};

const WARM: u64 = 300;
const CALLS: u64 = 1_000;

/// The program that counts: it prints what [`print`] prints.
#[derive(Clone, Copy, Debug)]
pub struct Counter(pub &'static str);

impl Counter {
    /// Allocations and bytes per call, of every case of every row, in order.
    pub(crate) fn calls(self, filter: &str) -> io::Result<Vec<[f64; 2]>> {
        self.run("calls", filter)
    }

    /// Bytes on the heap, new and after 1000 calls, of every circuit, in order.
    pub(crate) fn memory(self, filter: &str) -> io::Result<Vec<[f64; 2]>> {
        self.run("memory", filter)
    }

    fn run(self, what: &str, filter: &str) -> io::Result<Vec<[f64; 2]>> {
        let run = Command::new(self.0)
            .args([what, filter])
            .stderr(Stdio::inherit())
            .output()?;
        if !run.status.success() {
            return Err(io::Error::other(
                "the program that counts allocations failed",
            ));
        }
        String::from_utf8_lossy(&run.stdout)
            .lines()
            .map(|line| {
                let numbers = line.split_once(' ').map(|(a, b)| (a.parse(), b.parse()));
                match numbers {
                    Some((Ok(a), Ok(b))) => Ok([a, b]),
                    _ => Err(io::Error::other(format!("not a pair of numbers: {line}"))),
                }
            })
            .collect()
    }
}

/// Prints two numbers a line: what `calls` allocate, or how much `memory` circuits take. For the
/// program whose allocator is [`INSTRUMENTED_SYSTEM`].
pub fn print(what: &str, filter: &str) {
    with_timers(|| match what {
        "calls" => print_calls(filter),
        "memory" => print_memory(filter),
        other => panic!("not to be counted: {other}"),
    });
}

fn print_calls(filter: &str) {
    for case in rows(filter).iter_mut().flat_map(|row| &mut row.cases) {
        case.run(WARM);
        let region = Region::new(&INSTRUMENTED_SYSTEM);
        case.run(CALLS);
        let stats = region.change();
        let allocations = (stats.allocations + stats.reallocations) as f64;
        let bytes = stats.bytes_allocated as f64;
        println!("{} {}", allocations / CALLS as f64, bytes / CALLS as f64);
    }
}

fn print_memory(filter: &str) {
    let live = || {
        let stats = INSTRUMENTED_SYSTEM.stats();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    for circuit in circuits(filter) {
        let [fresh, later] = circuit.memory(live);
        println!("{fresh} {later}");
    }
}
