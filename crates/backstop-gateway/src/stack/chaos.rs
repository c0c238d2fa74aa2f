//! Faults in front of a provider, for a drill.

use backstop_chaos::ChaosLayer;
use backstop_core::Name;
use backstop_llm::{ChatResponse, Error};
use tower::Layer;

use super::candidate::Service;
use crate::trace::Traced;

/// What befalls the calls of one provider, if anything does. It does nothing until it is switched
/// on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chaos {
    provider: Option<Name>,
    layers: Vec<ChaosLayer<ChatResponse, Error>>,
}

impl Chaos {
    /// These, in front of this provider.
    pub(crate) const fn before(
        provider: Name,
        layers: Vec<ChaosLayer<ChatResponse, Error>>,
    ) -> Self {
        Self {
            provider: Some(provider),
            layers,
        }
    }

    /// What is asked in place of this model, where it is that provider's.
    pub(super) fn over(&self, provider: &Name, model: &Traced) -> Option<Service> {
        if self.provider.as_ref() != Some(provider) {
            return None;
        }
        let model = Service::new(model.clone());
        let layers = self.layers.iter();
        Some(layers.fold(model, |inner, layer| Service::new(layer.layer(inner))))
    }
}
