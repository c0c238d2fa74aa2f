//! What a candidate's model can do, and what a request needs of it.

mod estimate;
mod family;
mod need;
mod needs;

pub(crate) use self::{
    family::{base_name, thinks_adaptively},
    needs::lost_field,
};

pub use self::{
    estimate::estimate_tokens,
    need::{Need, Needs, UnknownNeed},
    needs::needs,
};
use crate::Dialect;

/// What a model can do.
///
/// [`of`](Self::of) knows the families of the large providers; a model it doesn't know is taken to
/// be able to do what its dialect has words for. A configuration overrides what is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Abilities {
    /// What a request may need of it.
    pub can: Needs,
    /// The highest temperature it takes, in hundredths.
    pub max_temperature: u32,
    /// How many tokens a request and its answer may have together, where that is known.
    pub context_window: Option<u64>,
    /// How many tokens an answer may have, where that is known.
    pub max_output: Option<u64>,
    /// How it is made to go on with an answer that broke off.
    pub resumes: Resumes,
}

/// How a model is made to go on with an answer that broke off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Resumes {
    /// By a last message of the assistant's and `continue_final_message`, as vLLM and SGLang have
    /// it.
    ContinueFinalMessage,
    /// By a message that quotes the answer so far and asks for the rest.
    Instruction,
    /// Not at all.
    Never,
    /// By a last message of the assistant's, with which the model goes on.
    Prefill,
}

impl Abilities {
    /// What the model of this name can do, as far as its family is known.
    #[must_use]
    pub fn of(dialect: Dialect, model: &str) -> Self {
        family::abilities(dialect, model)
    }

    /// The same, and this.
    #[must_use]
    pub const fn with(mut self, need: Need) -> Self {
        self.can = self.can.with(need);
        self
    }

    /// The same, but not this.
    #[must_use]
    pub const fn without(mut self, need: Need) -> Self {
        self.can = self.can.without(need);
        self
    }

    /// The same, within this many tokens.
    #[must_use]
    pub const fn with_context_window(mut self, tokens: u64) -> Self {
        self.context_window = Some(tokens);
        self
    }

    /// The same, with answers of up to this many tokens.
    #[must_use]
    pub const fn with_max_output(mut self, tokens: u64) -> Self {
        self.max_output = Some(tokens);
        self
    }

    /// The same, resuming this way.
    #[must_use]
    pub const fn resuming(mut self, resumes: Resumes) -> Self {
        self.resumes = resumes;
        self
    }
}
