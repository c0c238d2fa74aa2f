use serde_json::Value;

/// What a request asks for, whatever its dialect.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Ask {
    /// The model's name, as the caller gave it.
    pub model: String,
    /// The text of the last message that is not the assistant's.
    pub prompt: String,
    /// The text of a last message that *is* the assistant's, to be gone on with.
    pub partial: Option<String>,
    /// How the caller says that the partial answer is to be gone on with.
    pub continuation: Continuation,
    /// Whether the reply is to be streamed.
    pub stream: bool,
    /// Whether an OpenAI stream ends with its usage.
    pub include_usage: bool,
    /// The limit on the length of the reply.
    pub max_tokens: Option<u64>,
    /// Where the reply is to stop.
    pub stops: Vec<String>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may, must or must not.
    pub tool_choice: ToolChoice,
    /// The form of the reply's text.
    pub format: Format,
    /// Whether the caller wants to see the model think.
    pub thinking: bool,
    /// How many replies.
    pub choices: usize,
    /// The estimated length of the prompt, in tokens.
    pub input_tokens: u64,
}

/// How a caller says that a partial answer is to be gone on with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Continuation {
    /// By ending the conversation with it.
    #[default]
    Prefill,
    /// By a field as well: `continue_final_message`, `prefix`.
    Flag,
    /// By a message after it.
    Instruction,
}

/// A tool that the model may call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// The JSON schema of its arguments.
    pub schema: Value,
}

/// Whether the model may, must or must not call a tool.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// It may.
    #[default]
    Auto,
    /// It must, whichever.
    Required,
    /// It must, this one.
    Named(String),
    /// It must not.
    None,
}

/// The form of the reply's text.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON of this schema.
    Schema(Value),
}

/// One message, as far as a stand-in reads it.
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) text: String,
}

impl Message {
    pub(crate) const fn new(role: Role, text: String) -> Self {
        Self { role, text }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    System,
    User,
    Assistant,
}

impl Ask {
    /// Takes the prompt, the partial answer and the length from a conversation.
    ///
    /// A caller that can't have a partial answer gone on with quotes it and asks for the rest:
    /// a last message that speaks of going on, right after one of the assistant's, is understood
    /// as a model would understand it.
    pub(crate) fn hear(&mut self, messages: Vec<Message>) {
        self.input_tokens += messages
            .iter()
            .map(|message| estimate(&message.text) + MESSAGE_OVERHEAD)
            .sum::<u64>();
        let mut messages: Vec<Message> = messages
            .into_iter()
            .filter(|message| message.role != Role::System)
            .collect();
        if let [.., partial, instruction] = messages.as_slice() {
            if partial.role == Role::Assistant
                && instruction.role == Role::User
                && asks_to_go_on(&instruction.text)
            {
                messages.pop();
                self.continuation = Continuation::Instruction;
            }
        }
        if messages
            .last()
            .is_some_and(|message| message.role == Role::Assistant)
        {
            self.partial = messages.pop().map(|message| message.text);
        }
        if let Some(place) = messages
            .iter()
            .rposition(|message| message.role == Role::User)
        {
            self.prompt = messages.swap_remove(place).text;
        }
    }
}

fn asks_to_go_on(text: &str) -> bool {
    let text = text.to_lowercase();
    ["continue", "go on", "carry on"]
        .iter()
        .any(|words| text.contains(words))
}

/// What a message costs beyond its text.
const MESSAGE_OVERHEAD: u64 = 3;

/// The length of a text in tokens: a quarter of its characters, rounded up.
pub(crate) fn estimate(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

/// All the text in a string, a part, or a list of either, however the dialect nests it.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text_of).collect(),
        Value::Object(part) => ["text", "content", "output"]
            .iter()
            .find_map(|key| part.get(*key))
            .map(text_of)
            .unwrap_or_default(),
        _ => String::new(),
    }
}
