//! Requests, read from a caller.

use bytes::Bytes;
use serde::Deserialize;

use super::block::read_content;
use crate::{
    Chat, ChatRequest, Dialect, Error, Function, Json, Message, Reasoning, ReasoningMode,
    ResponseFormat, Role, Sampling, Tool, ToolChoice, read::Fields, wire_text::TextOr, wrong,
};

#[derive(Deserialize)]
struct WireMessage {
    role: String,
    content: TextOr<Json>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireTool {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: String,
    description: Option<String>,
    input_schema: Option<Json>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct WireChoice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Default, Deserialize)]
struct WireThinking {
    #[serde(rename = "type")]
    kind: String,
    budget_tokens: Option<u64>,
    display: Option<String>,
}

#[derive(Default, Deserialize)]
struct OutputConfig {
    effort: Option<String>,
    format: Option<WireFormat>,
}

#[derive(Deserialize)]
struct WireFormat {
    schema: Option<Json>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    user_id: Option<String>,
}

pub(super) fn parse(body: Bytes) -> Result<ChatRequest, Error> {
    let mut fields = Fields::parse(Dialect::Anthropic, &body)?;
    let mut chat = Chat {
        model: fields.require("model")?,
        max_tokens: Some(fields.require("max_tokens")?),
        ..Chat::default()
    };
    if let Some(system) = fields.take("system")? {
        let content = read_content(format_args!("system"), system)?;
        if !content.is_empty() {
            chat.messages.push(Message::new(Role::System, content));
        }
    }
    let messages: Vec<WireMessage> = fields.require("messages")?;
    if messages.is_empty() {
        let message = "messages: at least one message is required";
        return Err(Error::invalid(message).with_param("messages"));
    }
    for (at, message) in messages.into_iter().enumerate() {
        chat.messages.push(read_message(at, message)?);
    }
    let tools: Vec<Json> = fields.take("tools")?.unwrap_or_default();
    for (at, json) in tools.into_iter().enumerate() {
        chat.tools.push(read_tool(at, json)?);
    }
    if let Some(choice) = fields.take::<WireChoice>("tool_choice")? {
        chat.parallel_tool_calls = choice.disable_parallel_tool_use.map(|off| !off);
        chat.tool_choice = Some(read_tool_choice(choice)?);
    }
    chat.sampling = Sampling {
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        ..Sampling::default()
    };
    chat.stop = fields.take("stop_sequences")?.unwrap_or_default();
    let thinking: Option<WireThinking> = fields.take("thinking")?;
    let output: OutputConfig = fields.take("output_config")?.unwrap_or_default();
    chat.reasoning = read_reasoning(thinking, output.effort);
    if let Some(schema) = output.format.and_then(|format| format.schema) {
        chat.format = ResponseFormat::Schema {
            name: None,
            description: None,
            schema,
            strict: None,
        };
    }
    chat.user = fields
        .take::<Metadata>("metadata")?
        .and_then(|metadata| metadata.user_id);
    chat.stream = fields.take("stream")?.unwrap_or_default();
    chat.extra = fields.rest();
    chat.extra.retain(|(_, json)| !json.is_null());
    chat.extra_dialect = Some(Dialect::Anthropic);
    Ok(ChatRequest::parsed(chat, Dialect::Anthropic, body))
}

fn read_message(at: usize, wire: WireMessage) -> Result<Message, Error> {
    let role = match wire.role.as_str() {
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "user" => Role::User,
        other => {
            return Err(wrong::unknown_role(
                Dialect::Anthropic,
                format_args!("messages.{at}"),
                other,
            ));
        }
    };
    let content = read_content(format_args!("messages.{at}.content"), wire.content)?;
    Ok(Message::new(role, content))
}

fn read_tool(at: usize, json: Json) -> Result<Tool, Error> {
    let wire: WireTool = wrong::read(Dialect::Anthropic, format_args!("tools.{at}"), json.get())?;
    Ok(match wire.kind.as_deref() {
        None | Some("custom") => Tool::Function(Function {
            name: wire.name,
            description: wire.description,
            schema: wire.input_schema,
            strict: wire.strict,
        }),
        Some(_) => Tool::Native {
            dialect: Dialect::Anthropic,
            json,
        },
    })
}

fn read_tool_choice(wire: WireChoice) -> Result<ToolChoice, Error> {
    match (wire.kind.as_str(), wire.name) {
        ("any", _) => Ok(ToolChoice::Required),
        ("auto", _) => Ok(ToolChoice::Auto),
        ("none", _) => Ok(ToolChoice::None),
        ("tool", Some(name)) => Ok(ToolChoice::Named(name)),
        _ => Err(Error::invalid("tool_choice: unknown type").with_param("tool_choice")),
    }
}

fn read_reasoning(thinking: Option<WireThinking>, effort: Option<String>) -> Option<Reasoning> {
    if thinking.is_none() && effort.is_none() {
        return None;
    }
    let mut reasoning = Reasoning {
        effort,
        ..Reasoning::default()
    };
    if let Some(thinking) = thinking {
        reasoning.mode = match thinking.kind.as_str() {
            "adaptive" => Some(ReasoningMode::Adaptive),
            "disabled" => Some(ReasoningMode::Disabled),
            _ => Some(ReasoningMode::Enabled),
        };
        reasoning.budget = thinking.budget_tokens;
        reasoning.visible = thinking.display.map(|display| display != "omitted");
    }
    Some(reasoning)
}
