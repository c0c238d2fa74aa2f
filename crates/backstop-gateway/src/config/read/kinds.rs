//! Kinds of failure.

use backstop_core::{FaultKind, FaultKinds};

use crate::config::{nearest::nearest, reader::Value};

/// A list of kinds of failure: `["filtered", "too_large"]`.
pub(super) fn kinds(value: &Value<'_>) -> FaultKinds {
    let read = |item: Value<'_>| {
        let text = item.string()?;
        let found = FaultKind::ALL.into_iter().find(|kind| kind.label() == text);
        if found.is_none() {
            let known = FaultKind::ALL.map(FaultKind::label);
            let instead = match nearest(&text, &known) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("known: {}", known.join(", ")),
            };
            item.problem(format_args!("is no kind of failure: \"{text}\""), instead);
        }
        found
    };
    let items = value.array().unwrap_or_default();
    items.into_iter().filter_map(read).collect()
}
