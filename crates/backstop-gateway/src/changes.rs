//! What the operator has changed by hand, on top of what the config says.
//!
//! It holds until it is undone: a config that is reloaded for another reason does not put a
//! candidate back that someone has taken out, and nor does a restart, where state is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use backstop_fallback::UnknownCandidate;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::{gateway::Gateway, operator::Order, stack::ModelStack};

/// What has been changed by hand, for each model.
#[derive(Debug, Default)]
pub(crate) struct Changes(Mutex<BTreeMap<String, Change>>);

/// What has been changed of one model.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Change {
    /// Who was put first, if anyone was.
    order: Option<Vec<String>>,
    /// Who was taken out.
    off: BTreeSet<String>,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(crate) enum Unchanged {
    NoModel,
    NoCandidate(UnknownCandidate),
}

/// The changes, while nobody else makes any.
pub(crate) type Held<'a> = MutexGuard<'a, BTreeMap<String, Change>>;

impl Changes {
    pub(crate) fn hold(&self) -> Held<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the order of this model's candidates is one that was made by hand.
    pub(crate) fn reorders(&self, model: &str) -> bool {
        self.hold().get(model).is_some_and(|it| it.order.is_some())
    }
}

/// Changes models that have been made anew from a config. What is about models or candidates that
/// are no longer there is forgotten.
pub(crate) fn apply(changes: &mut Held<'_>, models: &BTreeMap<String, ModelStack>) {
    changes.retain(|name, change| {
        let Some(stack) = models.get(name) else {
            return false;
        };
        let handle = stack.handle();
        let known = |name: &String| stack.has(name);
        let order = change.order.take().unwrap_or_default();
        let order: Vec<String> = order.into_iter().filter(known).collect();
        if !order.is_empty() {
            // All of them are known.
            let _ = stack.reorder(&order);
            change.order = Some(order);
        }
        change.off.retain(known);
        for name in &change.off {
            let _ = handle.disable(name);
        }
        change.order.is_some() || !change.off.is_empty()
    });
}

impl Gateway {
    /// Makes the changes again that were made before the gateway was started.
    pub(crate) fn change_again(&self, known: BTreeMap<String, Change>) {
        let mut changes = self.shared.changes.hold();
        *changes = known;
        apply(&mut changes, &self.running().models);
        for (model, change) in &*changes {
            let (order, off) = (&change.order, &change.off);
            info!(model, ?order, ?off, "what was changed by hand holds on");
        }
    }

    /// Changes the circuit of that name; false where there is none.
    pub(crate) fn change_circuit(&self, name: &str, order: Order) -> bool {
        let changed = self.running().circuits.change(name, order);
        if changed {
            info!(
                candidate = name,
                ?order,
                "a circuit has been changed by hand"
            );
            self.shared.altered.notify_one();
        }
        changed
    }

    /// Puts these candidates of a model first; none of them, and the config's order is back.
    pub(crate) fn reorder(&self, model: &str, names: Vec<String>) -> Result<(), Unchanged> {
        self.change(model, |stack, change| {
            stack.reorder(&names)?;
            info!(model, ?names, "the order has been changed");
            change.order = (!names.is_empty()).then_some(names);
            Ok(())
        })
    }

    /// Takes a candidate out of a model's chain, or back in.
    pub(crate) fn switch(&self, model: &str, name: &str, enabled: bool) -> Result<(), Unchanged> {
        self.change(model, |stack, change| {
            if enabled {
                stack.handle().enable(name)?;
                change.off.remove(name);
            } else {
                stack.handle().disable(name)?;
                change.off.insert(name.to_owned());
            }
            info!(
                model,
                candidate = name,
                enabled,
                "a candidate has been switched"
            );
            Ok(())
        })
    }

    fn change(
        &self,
        model: &str,
        with: impl FnOnce(&ModelStack, &mut Change) -> Result<(), UnknownCandidate>,
    ) -> Result<(), Unchanged> {
        // Held all the while, so that no reload comes in between.
        let mut changes = self.shared.changes.hold();
        let running = self.running();
        let stack = running.models.get(model).ok_or(Unchanged::NoModel)?;
        let change = changes.entry(model.to_owned()).or_default();
        with(stack, change).map_err(Unchanged::NoCandidate)?;
        self.shared.altered.notify_one();
        Ok(())
    }
}
