//! Thoughts, and what proves them and tool calls to their provider.

use serde::{Deserialize, Serialize};

use crate::{Dialect, Event, Signature, Thinking, lenient};

/// A piece of what was thought, as OpenRouter has it: the one form in which this dialect carries
/// what proves a thought to its provider.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WireReasoning {
    #[serde(rename = "type", skip_deserializing)]
    kind: &'static str,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "String::is_empty")]
    summary: String,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

impl WireReasoning {
    /// A thought that is signed or encrypted; others are told by their text alone.
    pub(super) fn write(thinking: &Thinking) -> Option<Self> {
        let token = |token: &Signature| token.to_wire(Dialect::OpenAi);
        match (&thinking.signature, &thinking.redacted) {
            (_, Some(data)) => Some(Self {
                kind: "reasoning.encrypted",
                data: Some(token(data)),
                ..Self::default()
            }),
            (Some(signature), None) => Some(Self {
                kind: "reasoning.text",
                text: thinking.text.clone(),
                signature: Some(token(signature)),
                ..Self::default()
            }),
            (None, None) => None,
        }
    }

    fn into_thinking(self) -> Thinking {
        let token = |token: String| Signature::from_wire(Dialect::OpenAi, &token);
        Thinking {
            text: self.text().to_owned(),
            signature: self.signature.map(token),
            redacted: self.data.map(token),
        }
    }

    /// What signs the thought before it, or the thought itself where it is encrypted.
    pub(super) fn into_event(self, choice: u32) -> Option<Event> {
        let token = |token: String| Signature::from_wire(Dialect::OpenAi, &token);
        match (self.signature, self.data) {
            (_, Some(data)) => Some(Event::RedactedThinking {
                choice,
                data: token(data),
            }),
            (Some(signature), None) => Some(Event::Signature {
                choice,
                tool: None,
                signature: token(signature),
            }),
            (None, None) => None,
        }
    }

    pub(super) fn text(&self) -> &str {
        if self.text.is_empty() {
            &self.summary
        } else {
            &self.text
        }
    }
}

/// What was thought: piece by piece where the pieces are signed, else as one text.
pub(super) fn thoughts(text: Option<String>, details: Vec<WireReasoning>) -> Vec<Thinking> {
    if text.is_none() && details.is_empty() {
        return Vec::new();
    }
    let details: Vec<_> = details
        .into_iter()
        .map(WireReasoning::into_thinking)
        .collect();
    if details
        .iter()
        .any(|thought| thought.signature.is_some() || thought.redacted.is_some())
    {
        return details;
    }
    let text = text.unwrap_or_else(|| details.into_iter().map(|thought| thought.text).collect());
    let thought = Thinking {
        text,
        ..Thinking::default()
    };
    (!thought.text.is_empty())
        .then_some(thought)
        .into_iter()
        .collect()
}

/// What proves a tool call to its provider, as Google has it in this dialect.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct WireExtra {
    google: WireGoogle,
}

#[derive(Default, Deserialize, Serialize)]
struct WireGoogle {
    thought_signature: String,
}

impl WireExtra {
    pub(crate) fn write(signature: &Signature) -> Self {
        let thought_signature = match signature.for_dialect(Dialect::Gemini) {
            Some(own) => own.to_owned(),
            None => signature.to_wire(Dialect::OpenAi),
        };
        Self {
            google: WireGoogle { thought_signature },
        }
    }

    pub(crate) fn read(&self) -> Signature {
        Signature::from_wire(Dialect::Gemini, &self.google.thought_signature)
    }
}
