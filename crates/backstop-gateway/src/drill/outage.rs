//! What fails in a drill: the provider of the first candidate, one way after the other.

use std::collections::BTreeMap;

use backstop_chaos::{ChaosLayer, Mishap, Plan, Switch};
use backstop_core::{BoxError, Fault, FaultKind, Name};
use backstop_llm::{ChatResponse, ChatStream, Error};
use backstop_simulator::{Dialect, Simulator};

use super::broken::Broken;
use crate::{
    config::{Config, Proxy},
    stack::Chaos,
};

/// How many pieces of an answer come before it breaks off.
const PIECES: usize = 2;

/// A way to fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Overloaded,
    Hanging,
    Resetting,
    Cutting,
    Stalling,
    Denying,
}

impl Way {
    pub(super) const ALL: [Self; 6] = [
        Self::Overloaded,
        Self::Hanging,
        Self::Resetting,
        Self::Cutting,
        Self::Stalling,
        Self::Denying,
    ];

    /// The name of its phase.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Hanging => "hanging",
            Self::Resetting => "resetting",
            Self::Cutting => "cutting",
            Self::Stalling => "stalling",
            Self::Denying => "denying",
        }
    }

    /// How a simulated provider fails in this way.
    fn simulated(self) -> backstop_simulator::Fault {
        use backstop_simulator::Fault;
        match self {
            Self::Overloaded => Fault::overloaded(),
            Self::Hanging => Fault::hang(),
            Self::Resetting => Fault::reset(),
            Self::Cutting => Fault::cut(PIECES),
            Self::Stalling => Fault::stall(PIECES),
            Self::Denying => Fault::denied(),
        }
    }

    /// What befalls a call of a real one in this way.
    fn mishap(self) -> Mishap<ChatResponse, Error> {
        let error = |kind, status: Option<u16>| {
            Mishap::error(move || {
                let fault = Fault::new(kind);
                let fault = status.map_or(fault, |status| fault.with_status(status));
                Error::new(fault, "This is a drill.")
            })
        };
        match self {
            Self::Overloaded => error(FaultKind::Overloaded, Some(529)),
            Self::Hanging => Mishap::hang(),
            Self::Resetting => error(FaultKind::Connect, None),
            Self::Cutting => broken(Broken::cut),
            Self::Stalling => broken(Broken::stalled),
            Self::Denying => error(FaultKind::Denied, Some(401)),
        }
    }
}

/// An answer that breaks off, where it comes in pieces. A plain one is asked for and thrown away.
fn broken(how: fn(ChatStream, usize) -> Broken) -> Mishap<ChatResponse, Error> {
    Mishap::spoilt(move |response: ChatResponse| {
        if response.is_stream() {
            Ok(response.map_stream(|stream| ChatStream::new(how(stream, PIECES))))
        } else {
            Err(Error::new(FaultKind::Connect, "This is a drill."))
        }
    })
}

/// What fails.
pub(super) enum Outage {
    /// One simulated provider of several.
    Simulated {
        all: BTreeMap<Name, Simulator>,
        failing: Name,
    },
    /// A real one, behind a switch for each way.
    Real(Vec<(Way, Switch)>),
}

impl Outage {
    /// Puts a simulated provider in the place of each, of which this one fails.
    pub(super) async fn simulated(failing: Name, config: &mut Config) -> Result<Self, BoxError> {
        let mut all = BTreeMap::new();
        for (name, provider) in &mut config.providers {
            let dialect = match provider.dialect {
                backstop_llm::Dialect::Anthropic => Dialect::Anthropic,
                backstop_llm::Dialect::Gemini => Dialect::Gemini,
                _ => Dialect::OpenAi,
            };
            let simulator = Simulator::builder(dialect)
                .name(&**name)
                .log_capacity(0)
                .start()
                .await?;
            provider.base_url = simulator.base_url();
            provider.query.clear();
            provider.proxy = Proxy::None;
            all.insert(name.clone(), simulator);
        }
        Ok(Self::Simulated { all, failing })
    }

    /// Puts faults in front of this provider, which is asked in earnest while there are none.
    pub(super) fn real(failing: Name) -> (Self, Chaos) {
        let (mut switches, mut layers) = (Vec::new(), Vec::new());
        for way in Way::ALL {
            let layer = ChaosLayer::new(Plan::always(way.mishap()));
            switches.push((way, layer.switch()));
            layers.push(layer);
        }
        (Self::Real(switches), Chaos::before(failing, layers))
    }

    /// Fails in this way from now on, or no longer.
    pub(super) fn turn(&self, now: Option<Way>) {
        match self {
            Self::Simulated { all, failing } => {
                let Some(simulator) = all.get(failing) else {
                    return;
                };
                match now {
                    Some(way) => simulator.fault(way.simulated()),
                    None => simulator.clear(),
                }
            }
            Self::Real(switches) => {
                for (way, switch) in switches {
                    if Some(*way) == now {
                        switch.turn_on();
                    } else {
                        switch.turn_off();
                    }
                }
            }
        }
    }
}
