//! What is asked for beside the conversation.

use crate::{Dialect, Json};

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Tool {
    /// One that the caller runs.
    Function(Function),
    /// One that only the providers of one dialect know, most run it themselves: a web search.
    Native {
        /// The dialect that knows it.
        dialect: Dialect,
        /// The tool as it came.
        json: Json,
    },
}

/// A tool that the caller runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub schema: Option<Json>,
    /// Whether the arguments must follow the schema to the letter.
    pub strict: Option<bool>,
}

/// Whether the model must, may or must not call a tool.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// It may.
    Auto,
    /// It must call this one.
    Named(String),
    /// It must not.
    None,
    /// It must call one.
    Required,
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    Schema {
        /// The schema's name, which some dialects ask for.
        name: Option<String>,
        /// What the answer is for.
        description: Option<String>,
        /// The JSON schema.
        schema: Json,
        /// Whether the answer must follow it to the letter.
        strict: Option<bool>,
    },
    /// Text.
    #[default]
    Text,
}

/// How the next token is chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 for the likeliest; up to 2, with Anthropic up to 1.
    pub temperature: Option<f64>,
    /// Among the likeliest that make up this probability.
    pub top_p: Option<f64>,
    /// Among this many.
    pub top_k: Option<u64>,
    /// Against what has been said, from -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Against what has been said often, from -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// For the same answer to the same question, as far as the provider is able.
    pub seed: Option<i64>,
    /// How many answers.
    pub n: Option<u64>,
    /// Whether to say how likely each token was.
    pub logprobs: Option<bool>,
    /// For how many others to say that, at each token.
    pub top_logprobs: Option<u64>,
}

/// How much the model should think before it answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// Whether to think at all.
    pub mode: Option<ReasoningMode>,
    /// How hard: `minimal`, `low`, `medium`, `high`, and what else a model knows.
    pub effort: Option<String>,
    /// How many tokens thinking may take.
    pub budget: Option<u64>,
    /// Whether the answer should show the thoughts, or a summary of them.
    pub visible: Option<bool>,
}

impl Reasoning {
    /// Whether there is to be no thinking at all.
    pub(crate) fn is_off(&self) -> bool {
        self.mode == Some(ReasoningMode::Disabled) || self.effort.as_deref() == Some("none")
    }

    /// How hard, in OpenAI's words; a budget of tokens is put into the nearest of them.
    pub(crate) fn effort_word(&self) -> Option<&str> {
        if self.mode == Some(ReasoningMode::Disabled) {
            return Some("none");
        }
        let of_budget = self.budget.map(|tokens| match tokens {
            0..=2048 => "low",
            2049..=8192 => "medium",
            _ => "high",
        });
        self.effort.as_deref().or(of_budget)
    }
}

/// Whether to think.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReasoningMode {
    /// As the model sees fit.
    Adaptive,
    /// No.
    Disabled,
    /// Yes.
    Enabled,
}
