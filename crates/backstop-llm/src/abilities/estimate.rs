//! How many tokens a request has, roughly, without any model's vocabulary.

use crate::{Chat, Dialect, Part, Signature, Source, Tool};

/// What the models of a dialect count as how much, in hundredths of a token.
struct Weights {
    /// One byte of text.
    byte: usize,
    /// One message, for what marks it as one.
    message: usize,
    /// One picture, whose size is not looked at.
    picture: usize,
}

impl Weights {
    const fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Anthropic => Self {
                byte: 28,
                message: 400,
                picture: 80_000,
            },
            Dialect::Gemini => Self {
                byte: 25,
                message: 200,
                picture: 25_800,
            },
            Dialect::OpenAi | Dialect::Responses => Self {
                byte: 25,
                message: 400,
                picture: 76_500,
            },
        }
    }

    fn message(&self, content: &[Part]) -> usize {
        self.message + content.iter().map(|part| self.part(part)).sum::<usize>()
    }

    fn text(&self, text: &str) -> usize {
        text.len() * self.byte
    }

    /// What is not text to the model has fewer tokens than its bytes would make.
    fn opaque(&self, text: &str) -> usize {
        self.text(text) / 2
    }

    fn part(&self, part: &Part) -> usize {
        let signature = |it: &Option<Signature>| it.as_ref().map_or(0, |it| self.opaque(&it.value));
        match part {
            Part::Audio(audio) => audio.data.len() / 10,
            Part::Document(document) => match &document.source {
                Source::Base64 { data, .. } => data.len() * 10 / 6,
                Source::Text(text) => self.text(text),
                Source::Url(_) => 0,
            },
            Part::Image(_) => self.picture,
            Part::Native { json, .. } => self.opaque(json.get()),
            Part::Refusal(text) | Part::Text { text, .. } => self.text(text),
            Part::Thinking(thinking) => self.text(&thinking.text) + signature(&thinking.redacted),
            Part::ToolCall(call) => self.text(&call.name) + self.text(&call.arguments),
            Part::ToolResult(result) => result.content.iter().map(|part| self.part(part)).sum(),
        }
    }

    fn tool(&self, tool: &Tool) -> usize {
        match tool {
            Tool::Function(function) => {
                let schema = function.schema.as_ref().map_or("", |json| json.get());
                let description = function.description.as_deref().unwrap_or_default();
                self.text(&function.name) + self.text(description) + self.text(schema)
            }
            Tool::Native { json, .. } => self.text(json.get()),
        }
    }
}

/// Roughly how many tokens a request has for a model of this dialect. It is meant to tell a request
/// that can't fit from one that may, without any model's vocabulary.
///
/// | | bytes of text to a token | tokens of a message | of a picture |
/// |---|---|---|---|
/// | OpenAI, Chat Completions and Responses | 4 | 4 | 765 |
/// | Anthropic | 3.6 | 4 | 800 |
/// | Gemini | 4 | 2 | 258 |
///
/// That is about what the providers say of English; most other languages have more tokens than
/// this, so that a request is rather sent in vain than passed over without need. A document counts
/// a token for every 60 bytes of base64, sound one for every 1,000.
#[must_use]
pub fn estimate_tokens(chat: &Chat, dialect: Dialect) -> u64 {
    let weights = Weights::of(dialect);
    let messages = chat.messages.iter().map(|it| weights.message(&it.content));
    let tools = chat.tools.iter().map(|tool| weights.tool(tool));
    (messages.chain(tools).sum::<usize>() / 100) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Role};

    #[test]
    fn the_same_text_has_more_tokens_where_tokens_are_shorter() {
        let mut chat = Chat::default();
        chat.messages
            .push(Message::text(Role::User, "four".repeat(1000)));
        assert_eq!(estimate_tokens(&chat, Dialect::OpenAi), 1004);
        assert_eq!(estimate_tokens(&chat, Dialect::Responses), 1004);
        assert_eq!(estimate_tokens(&chat, Dialect::Gemini), 1002);
        assert_eq!(estimate_tokens(&chat, Dialect::Anthropic), 1124);
    }
}
