//! Replays what other libraries' tests hold as facts, and what is known of their defects, against
//! the real types. The files are read, not transcribed: see `file` for where they are.
//!
//! Every case is replayed; or our rule is another one, and the case is listed with the reason; or
//! there is nothing here that it is about. What a case is about is told by what is in it and not by
//! its id, so any other file of the format will do. A word of it that is not understood is a failure.

mod breaker;
mod classify;
mod fallback;
mod fields;
mod file;
mod outcome;
mod report;
mod retry;
mod timeout;
mod upstream;
mod words;

use std::process::ExitCode;

use self::{
    file::Case,
    outcome::{Replay, Stop, unknown},
    report::Report,
};

fn main() -> ExitCode {
    // What a test runner asks of a test program without a harness; none of its tests is ignored.
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    if asked("--list") || asked("--ignored") {
        if !asked("--ignored") {
            println!("replays_or_lists_every_case: test");
        }
        return ExitCode::SUCCESS;
    }
    let cases = match file::all() {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if cases.is_empty() {
        println!("skipped: there are no cases in ../shared, nor where BACKSTOP_SHARED says");
        return ExitCode::SUCCESS;
    }
    let mut report = Report::default();
    for case in &cases {
        report.add(&case.id, judge(case));
    }
    report.print()
}

/// The outcome of a case; a panic is a failure.
fn judge(case: &Case) -> Replay {
    std::panic::catch_unwind(|| replay(case)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied());
        outcome::failed(format!("panicked: {}", why.unwrap_or("?")))
    })
}

fn replay(case: &Case) -> Replay {
    if !matches!(case.kind.as_str(), "ported" | "regression") {
        return unknown(format!("kind {:?}", case.kind));
    }
    match (case.layer.as_str(), case.model.as_str()) {
        ("breaker" | "window" | "events", _) => breaker::replay(case),
        ("registry", "regression") => breaker::registry(case),
        ("retry", _) => retry::replay(case),
        ("classify", "error-kind") => outcome::differs(
            "an attempt that ran out of time is not made again on the same service here: it may \
             have been done, and billed; the next candidate is asked",
        ),
        ("classify", "regression") => classify::replay(case),
        ("classify", "throttle-code") => {
            not_applicable("the codes are those of AWS's own services, a dialect not spoken here")
        }
        ("fallback", "regression") => fallback::replay(case),
        ("hedge", _) => fallback::hedge(case),
        ("timeout", "regression") => timeout::replay(case),

        ("bulkhead", "permits-queue" | "regression") => {
            not_applicable("there is no bulkhead here; tower has a concurrency limit")
        }
        ("concurrency", "aimd" | "vegas") => {
            not_applicable("there is no adaptive limit on concurrency here")
        }
        ("rate-limit", "fixed-cycle" | "aws-adaptive-e2e") => {
            not_applicable("there is no rate limit on what is sent here; tower has one")
        }
        (layer, model) => unknown(format!("layer {layer:?} with model {model:?}")),
    }
}

/// Runs a replay on a clock that stands still but for the steps of the case.
fn paused(replay: impl Future<Output = Replay>) -> Replay {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(replay)
}

fn not_applicable(why: &str) -> Replay {
    Err(Stop::NotApplicable(why.into()))
}
