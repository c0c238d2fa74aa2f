//! Answers held against the JSON schema that was asked for.

use jsonschema::Validator;
use serde_json::Value;

use crate::{ChatRequest, Completion, Error, FinishReason, ResponseFormat, text_of};

/// Holds answers against a schema.
pub(super) struct Schema(Validator);

impl Schema {
    /// The schema that a request asks for. One that is none itself is the provider's to refuse.
    pub(super) fn of(request: &ChatRequest) -> Option<Self> {
        let ResponseFormat::Schema { schema, .. } = &request.chat().format else {
            return None;
        };
        let schema: Value = schema.read().ok()?;
        jsonschema::validator_for(&schema).ok().map(Self)
    }

    /// Whether every finished choice is JSON of that schema. One that was cut short, refused or
    /// that asks for a tool says so itself.
    ///
    /// # Errors
    ///
    /// `Malformed`, with the place in the answer.
    pub(super) fn check(&self, completion: &Completion) -> Result<(), Error> {
        for choice in &completion.choices {
            if choice.finish != FinishReason::Stop {
                continue;
            }
            let answer: Value = serde_json::from_str(text_of(&choice.content).trim())
                .map_err(|e| Error::malformed("the answer is not JSON").with_source(e))?;
            if let Err(error) = self.0.validate(&answer) {
                let place = error.instance_path();
                let message = format!("the answer does not match the schema at '{place}'");
                return Err(Error::malformed(message));
            }
        }
        Ok(())
    }
}
