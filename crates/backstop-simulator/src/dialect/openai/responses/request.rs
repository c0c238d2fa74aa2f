use serde_json::Value;

use crate::{
    ask::{Ask, Message, Role, Tool, text_of},
    dialect::{
        fields::{field, is_true, list, text_field, tool},
        openai::{format, tool_choice},
    },
    problem::Problem,
};

pub(in crate::dialect) fn read(body: &Value) -> Result<Ask, Problem> {
    let model = text_field(body, "model")
        .filter(|model| !model.is_empty())
        .ok_or_else(|| Problem::invalid("Missing required parameter: 'model'.", "model"))?;
    let input = field(body, "input")
        .ok_or_else(|| Problem::invalid("Missing required parameter: 'input'.", "input"))?;
    let instructions = text_field(body, "instructions");
    let instructions = instructions.map(|text| Message::new(Role::System, text));
    let mut heard: Vec<Message> = instructions.into_iter().collect();
    match input {
        Value::String(text) => heard.push(Message::new(Role::User, text.clone())),
        Value::Array(items) => heard.extend(items.iter().filter_map(message_of)),
        _ => {
            return Err(Problem::invalid(
                "Invalid type for 'input': expected a string or an array.",
                "input",
            ));
        }
    }
    let mut ask = Ask {
        model,
        max_tokens: body.get("max_output_tokens").and_then(Value::as_u64),
        stream: is_true(body, "stream"),
        tools: tools(body),
        tool_choice: tool_choice(body, "/name"),
        format: format(body.pointer("/text/format"), "/schema"),
        thinking: body
            .pointer("/reasoning/summary")
            .is_some_and(|summary| !summary.is_null()),
        choices: 1,
        ..Ask::default()
    };
    ask.hear(heard);
    Ok(ask)
}

/// Items that say nothing (a call, a reasoning) are no messages.
fn message_of(item: &Value) -> Option<Message> {
    let kind = item
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("message");
    let (role, text) = match (kind, item.get("role").and_then(Value::as_str)) {
        ("function_call_output", _) => (Role::User, "output"),
        ("message", Some("assistant")) => (Role::Assistant, "content"),
        ("message", Some("system" | "developer")) => (Role::System, "content"),
        ("message", _) => (Role::User, "content"),
        _ => return None,
    };
    Some(Message::new(role, item.get(text).map(text_of)?))
}

fn tools(body: &Value) -> Vec<Tool> {
    let tools = list(body, "tools").iter();
    tools.filter_map(|it| tool(it, &["parameters"])).collect()
}
