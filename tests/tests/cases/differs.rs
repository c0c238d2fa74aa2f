//! The cases whose rule is not ours, by design.

/// Ids and reasons. A case that is listed here and replays all the same is a failure: the list may
/// not grow old.
const DIFFERS: &[(&str, &str)] = &[
    (
        "cock-01",
        "what trips is the circuit itself here: it is open then, and only a probe closes it",
    ),
    (
        "cock-06",
        "the success that closes a circuit is a probe's here, and not one of the calls in the \
         window that begins then",
    ),
    (
        "reg-38",
        "a response that has come is handed on, however late: the timeout's README says so; \
         nothing is lost that was paid for, and nothing flags it",
    ),
];

pub(crate) fn reason(id: &str) -> Option<&'static str> {
    let (_, why) = DIFFERS.iter().find(|(differing, _)| *differing == id)?;
    Some(why)
}
