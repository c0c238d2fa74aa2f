use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ask::{Ask, Format, ToolChoice},
    schema,
};

/// What a stand-in says.
///
/// ```
/// use backstop_simulator::Reply;
///
/// let text = Reply::text("Paris.");
/// let tool = Reply::tool_call("weather", serde_json::json!({"city": "Paris"}));
/// let thoughtful = Reply::text("4").thinking("2 + 2 = 4");
/// # let _ = (text, tool, thoughtful);
/// ```
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[must_use]
pub struct Reply {
    /// The text, streamed a word a chunk.
    pub text: String,
    /// What the model thought first, where the dialect has a place for it.
    pub thinking: Option<String>,
    /// The tools it calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped, if not for the obvious reason.
    pub stop: Option<Stop>,
    /// The pieces in which the text is streamed, where a word a chunk will not do.
    pub chunks: Option<Vec<String>>,
}

/// A call of a tool.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[non_exhaustive]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Value,
}

/// Why a reply stopped.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// It was finished.
    End,
    /// It reached the limit on its length.
    Length,
    /// It calls a tool.
    Tool,
    /// It came upon one of the caller's stop sequences.
    Sequence(String),
    /// It was blocked.
    Filtered,
}

// ===== impl Reply =====

impl Reply {
    /// This text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// This text, streamed in exactly these pieces.
    pub fn chunks<I>(chunks: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let chunks: Vec<String> = chunks.into_iter().map(Into::into).collect();
        Self {
            text: chunks.concat(),
            chunks: Some(chunks),
            ..Self::default()
        }
    }

    /// A call of this tool.
    pub fn tool_call(name: impl Into<String>, arguments: Value) -> Self {
        Self::default().and_tool_call(name, arguments)
    }

    /// A further call of a tool, or one after the text.
    pub fn and_tool_call(mut self, name: impl Into<String>, arguments: Value) -> Self {
        self.tool_calls.push(ToolCall {
            name: name.into(),
            arguments,
        });
        self
    }

    /// Thinks before it speaks.
    pub fn thinking(mut self, thinking: impl Into<String>) -> Self {
        self.thinking = Some(thinking.into());
        self
    }

    /// Stops for this reason.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// The thought in words, as it is streamed.
    pub(crate) fn thoughts(&self) -> Vec<&str> {
        self.thinking.as_deref().map(words).unwrap_or_default()
    }

    /// The pieces in which the text is streamed: as scripted, or each word with the space before
    /// it, as tokens are.
    pub(crate) fn pieces(&self) -> Vec<&str> {
        match &self.chunks {
            Some(chunks) if chunks.concat() == self.text => {
                chunks.iter().map(String::as_str).collect()
            }
            _ => words(&self.text),
        }
    }
}

impl ToolCall {
    /// Its arguments, an object where there are none.
    pub(crate) fn input(&self) -> Value {
        match &self.arguments {
            Value::Null => json!({}),
            arguments => arguments.clone(),
        }
    }

    /// Its arguments as dialects with text arguments carry them.
    pub(crate) fn text(&self) -> String {
        self.input().to_string()
    }
}

/// A text in words, each with the white space before it.
pub(crate) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (place, character) in text.char_indices() {
        let space = character.is_whitespace();
        if space && in_word {
            words.push(&text[start..place]);
            start = place;
        }
        in_word = !space;
    }
    if start < text.len() {
        words.push(&text[start..]);
    }
    words
}

// ===== Script =====

/// Where the replies come from; changed while the stand-in runs.
#[derive(Default)]
pub(crate) struct Script(RwLock<Source>);

type Writer = dyn Fn(&Ask) -> Reply + Send + Sync;

#[derive(Clone, Default)]
enum Source {
    /// From the request, always the same for the same one.
    #[default]
    Request,
    Fixed(Arc<Reply>),
    Writer(Arc<Writer>),
}

impl Script {
    pub(crate) fn fix(&self, reply: Reply) {
        self.set(Source::Fixed(Arc::new(reply)));
    }

    pub(crate) fn write_with(&self, writer: impl Fn(&Ask) -> Reply + Send + Sync + 'static) {
        self.set(Source::Writer(Arc::new(writer)));
    }

    pub(crate) fn clear(&self) {
        self.set(Source::Request);
    }

    pub(crate) fn reply(&self, name: &str, ask: &Ask) -> Reply {
        let source = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match source {
            Source::Request => from_request(name, ask),
            Source::Fixed(reply) => Reply::clone(&reply),
            Source::Writer(writer) => writer(ask),
        }
    }

    fn set(&self, source: Source) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = source;
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Source::Request => "request",
            Source::Fixed(_) => "fixed",
            Source::Writer(_) => "writer",
        };
        f.debug_tuple("Script").field(&source).finish()
    }
}

/// How much of a prompt is said back.
const LONGEST_ECHO: usize = 400;

/// A reply that names the stand-in and says the prompt back, in the form that was asked for.
fn from_request(name: &str, ask: &Ask) -> Reply {
    let prompt: String = ask.prompt.chars().take(LONGEST_ECHO).collect();
    let text = format!("Hello from {name}. You said: {prompt}");
    let mut reply = match (&ask.tool_choice, &ask.format) {
        (ToolChoice::Required, _) if !ask.tools.is_empty() => call_of(ask, &ask.tools[0].name),
        (ToolChoice::Named(tool), _) => call_of(ask, tool),
        (_, Format::Schema(schema)) => Reply::text(schema::instance(schema).to_string()),
        (_, Format::Json) => Reply::text(json!({ "message": text }).to_string()),
        (_, Format::Text) => Reply::text(text),
    };
    if ask.thinking {
        reply = reply.thinking(format!("The caller said: {prompt}"));
    }
    reply
}

fn call_of(ask: &Ask, name: &str) -> Reply {
    let tool = ask.tools.iter().find(|tool| tool.name == name);
    let arguments = tool.map_or(json!({}), |tool| schema::instance(&tool.schema));
    Reply::tool_call(name, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_every_character() {
        for text in ["", "one", " one  two\nthree ", "dé jà vu", "   "] {
            assert_eq!(words(text).concat(), text);
        }
        assert_eq!(words("Hello from here."), ["Hello", " from", " here."]);
    }

    #[test]
    fn scripted_chunks_are_kept_while_they_make_the_text() {
        let mut reply = Reply::chunks(["He", "llo"]);
        assert_eq!(reply.pieces(), ["He", "llo"]);
        reply.text.truncate(3);
        assert_eq!(reply.pieces(), ["Hel"]);
    }
}
