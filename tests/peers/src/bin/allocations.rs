//! Counts what calls allocate and what circuits take. The benchmark runs it.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let filter = arguments.next().unwrap_or_default();
    backstop_peers::allocations::print(&what, &filter);
}
