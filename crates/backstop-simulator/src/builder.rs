use std::{io, sync::Arc};

use tokio::net::{TcpListener, ToSocketAddrs};

use crate::{
    dialect::Dialect,
    faults::Faults,
    key::Key,
    log::Log,
    pace::Pace,
    script::{Reply, Script},
    simulator::{Shared, Simulator},
    turn::Prefill,
};

/// What a stand-in is to be like.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    dialect: Dialect,
    name: String,
    api_key: Option<Key>,
    models: Vec<String>,
    pace: Pace,
    prefill: Prefill,
    log_capacity: usize,
    script: Script,
}

impl Builder {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            name: dialect.to_string(),
            api_key: None,
            models: Vec::new(),
            pace: Pace::default(),
            prefill: dialect.prefill(),
            log_capacity: 4096,
            script: Script::default(),
        }
    }

    /// The name that it calls itself in its replies; by default the dialect's.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The key that callers must have; by default none is asked for.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(Key(key.into()));
        self
    }

    /// Adds a model. Without any, every name is a model's.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.models.push(model.into());
        self
    }

    /// How fast it speaks; by default [`Pace::default`].
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// What it makes of a trailing assistant message; by default what the dialect's models do.
    pub fn prefill(mut self, prefill: Prefill) -> Self {
        self.prefill = prefill;
        self
    }

    /// What it says to everything; by default it says the prompt back.
    pub fn reply(self, reply: Reply) -> Self {
        self.script.fix(reply);
        self
    }

    /// How many calls it remembers, 4,096 by default. Each is remembered with its body.
    pub fn log_capacity(mut self, calls: usize) -> Self {
        self.log_capacity = calls;
        self
    }

    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(self) -> io::Result<Simulator> {
        self.listen(("127.0.0.1", 0)).await
    }

    /// Starts it at this address. It asks nobody for a key before it obeys control calls: keep it
    /// to loopback.
    ///
    /// # Errors
    ///
    /// When the address can't be had.
    pub async fn listen(self, address: impl ToSocketAddrs) -> io::Result<Simulator> {
        let listener = TcpListener::bind(address).await?;
        let shared = Shared {
            dialect: self.dialect,
            name: self.name,
            api_key: self.api_key,
            models: self.models,
            pace: self.pace,
            prefill: self.prefill,
            script: self.script,
            faults: Faults::default(),
            log: Arc::new(Log::new(self.log_capacity)),
        };
        Simulator::serve(listener, shared)
    }
}
