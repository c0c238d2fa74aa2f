use serde_json::Value;

use super::rules;
use crate::{
    ask::{Ask, Format, Message, Role, Tool, ToolChoice, text_of},
    dialect::fields::{check_range, field, is_true, list, strings, text_field, tool},
    problem::Problem,
};

/// What a request is read for: a count wants no `max_tokens`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(in crate::dialect) enum For {
    Count,
    Reply,
}

pub(in crate::dialect) fn read(body: &Value, purpose: For) -> Result<Ask, Problem> {
    let model = text_field(body, "model")
        .ok_or_else(|| Problem::invalid("model: Field required", "model"))?;
    let max_tokens = match field(body, "max_tokens") {
        Some(max) => Some(max.as_u64().ok_or_else(|| {
            Problem::invalid("max_tokens: Input should be a valid integer", "max_tokens")
        })?),
        None if purpose == For::Count => None,
        None => return Err(Problem::invalid("max_tokens: Field required", "max_tokens")),
    };
    let messages = field(body, "messages")
        .ok_or_else(|| Problem::invalid("messages: Field required", "messages"))?
        .as_array()
        .ok_or_else(|| Problem::invalid("messages: Input should be a valid list", "messages"))?;
    if messages.is_empty() {
        return Err(Problem::invalid(
            "messages: at least one message is required",
            "messages",
        ));
    }
    let system = field(body, "system");
    let system = system.map(|system| Message::new(Role::System, text_of(system)));
    let heard = messages
        .iter()
        .enumerate()
        .map(|(index, message)| message_of(index, message));
    let heard: Vec<Message> = system
        .map(Ok)
        .into_iter()
        .chain(heard)
        .collect::<Result<_, _>>()?;
    if let Some(Message {
        role: Role::Assistant,
        text,
    }) = heard.last()
    {
        if text.ends_with(char::is_whitespace) {
            return Err(Problem::invalid(
                "messages: final assistant content cannot end with trailing whitespace",
                "messages",
            ));
        }
    }
    check_range(body, "temperature", 0.0..=1.0, |_| {
        "temperature: range: 0..1".to_owned()
    })?;
    rules::check(body)?;
    let mut ask = Ask {
        model,
        max_tokens,
        stream: is_true(body, "stream"),
        stops: strings(body.get("stop_sequences")),
        tools: tools(body),
        tool_choice: tool_choice(body),
        format: body
            .pointer("/output_config/format/schema")
            .or_else(|| body.pointer("/output_format/schema"))
            .map_or(Format::Text, |schema| Format::Schema(schema.clone())),
        thinking: matches!(
            body.pointer("/thinking/type").and_then(Value::as_str),
            Some("enabled" | "adaptive")
        ),
        choices: 1,
        ..Ask::default()
    };
    ask.hear(heard);
    Ok(ask)
}

fn message_of(index: usize, message: &Value) -> Result<Message, Problem> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => {
            return Err(Problem::invalid(
                format!("messages.{index}.role: Input should be 'user' or 'assistant'"),
                "messages",
            ));
        }
        None => {
            return Err(Problem::invalid(
                format!("messages.{index}: Input does not match the expected shape."),
                "messages",
            ));
        }
    };
    let content = field(message, "content").ok_or_else(|| {
        Problem::invalid(
            format!("messages.{index}.content: Field required"),
            "messages",
        )
    })?;
    Ok(Message::new(role, text_of(content)))
}

fn tools(body: &Value) -> Vec<Tool> {
    let tools = list(body, "tools").iter();
    tools.filter_map(|it| tool(it, &["input_schema"])).collect()
}

fn tool_choice(body: &Value) -> ToolChoice {
    let Some(choice) = body.get("tool_choice") else {
        return ToolChoice::Auto;
    };
    match choice.get("type").and_then(Value::as_str) {
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => text_field(choice, "name").map_or(ToolChoice::Auto, ToolChoice::Named),
        _ => ToolChoice::Auto,
    }
}
