//! Candidates that can't do what a request asks, which says nothing of how they are.

use backstop_core::{Exhausted, Fault, FaultKind};

use crate::{Need, plan::DOES_NOT_FIT};

/// What it comes to that every candidate failed.
///
/// One that can't do what is asked does not hide how those failed that can. Where none can, the
/// request itself is to blame: another try will not help, nor will waiting.
pub(super) fn fault(exhausted: &Exhausted) -> Fault {
    let last = exhausted.fault();
    if !is_unable(&last) {
        return last;
    }
    let attempts = exhausted.trail().attempts();
    let able = attempts.iter().rev().find(|it| !is_unable(&it.fault));
    match (able, last.reason()) {
        (Some(attempt), _) => match last.retry_after() {
            Some(soonest) => attempt.fault.with_retry_after(soonest),
            None => attempt.fault,
        },
        (None, Some(reason)) if last.kind() == FaultKind::Refused => {
            Fault::new(FaultKind::Invalid).because(reason)
        }
        (None, _) => last,
    }
}

/// Whether a candidate was passed over because of what the request asks.
fn is_unable(fault: &Fault) -> bool {
    fault.reason().is_some_and(|reason| {
        reason == DOES_NOT_FIT || Need::ALL.iter().any(|need| need.reason() == reason)
    })
}
