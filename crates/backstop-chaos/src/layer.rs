use tower_layer::Layer;

use crate::{Chaos, Mishap, Plan, Switch};

/// Makes calls fail as planned, in place of the service or before it. It does nothing until it is
/// switched on.
#[derive(Debug)]
pub struct ChaosLayer<Res, E> {
    plan: Plan<Mishap<Res, E>>,
    switch: Switch,
}

impl<Res, E> ChaosLayer<Res, E> {
    /// Makes calls fail by this plan once it is switched on.
    #[must_use]
    pub fn new(plan: Plan<Mishap<Res, E>>) -> Self {
        Self {
            plan,
            switch: Switch::new(),
        }
    }

    /// Obeys this switch, which others may obey too.
    #[must_use]
    pub fn switched_by(mut self, switch: Switch) -> Self {
        self.switch = switch;
        self
    }

    /// Turns the faults on and off, for this layer and all that was made from it.
    #[must_use]
    pub fn switch(&self) -> Switch {
        self.switch.clone()
    }
}

impl<Res, E> Clone for ChaosLayer<Res, E> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            switch: self.switch.clone(),
        }
    }
}

impl<S, Res, E> Layer<S> for ChaosLayer<Res, E> {
    type Service = Chaos<S, Res, E>;

    fn layer(&self, inner: S) -> Self::Service {
        Chaos {
            inner,
            plan: self.plan.clone(),
            switch: self.switch.clone(),
        }
    }
}
