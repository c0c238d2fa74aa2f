use serde_json::Value;

use crate::{
    ask::{Ask, Format, Message, Role, Tool, ToolChoice, text_of},
    dialect::fields::{field, is_true, list, text_field},
    problem::Problem,
};

pub(in crate::dialect) fn read(body: &Value) -> Result<Ask, Problem> {
    let model = text_field(body, "model")
        .filter(|model| !model.is_empty())
        .ok_or_else(|| Problem::invalid("Missing required parameter: 'model'.", "model"))?;
    let input = field(body, "input")
        .ok_or_else(|| Problem::invalid("Missing required parameter: 'input'.", "input"))?;
    let instructions = text_field(body, "instructions");
    let mut heard: Vec<Message> = instructions
        .map(|text| Message {
            role: Role::System,
            text,
        })
        .into_iter()
        .collect();
    match input {
        Value::String(text) => heard.push(Message {
            role: Role::User,
            text: text.clone(),
        }),
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
        tool_choice: tool_choice(body),
        format: format(body),
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
    match (kind, item.get("role").and_then(Value::as_str)) {
        ("function_call_output", _) => Some(Message {
            role: Role::User,
            text: item.get("output").map(text_of)?,
        }),
        ("message", role) => {
            let role = match role {
                Some("assistant") => Role::Assistant,
                Some("system" | "developer") => Role::System,
                _ => Role::User,
            };
            Some(Message {
                role,
                text: item.get("content").map(text_of)?,
            })
        }
        _ => None,
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let named = list(body, "tools").iter().filter_map(|tool| {
        let schema = tool.get("parameters").cloned().unwrap_or(Value::Null);
        Some(Tool {
            name: text_field(tool, "name")?,
            schema,
        })
    });
    named.collect()
}

fn tool_choice(body: &Value) -> ToolChoice {
    match body.get("tool_choice") {
        Some(Value::String(choice)) if choice == "required" => ToolChoice::Required,
        Some(Value::String(choice)) if choice == "none" => ToolChoice::None,
        Some(choice) => text_field(choice, "name").map_or(ToolChoice::Auto, ToolChoice::Named),
        None => ToolChoice::Auto,
    }
}

fn format(body: &Value) -> Format {
    let Some(format) = body.pointer("/text/format") else {
        return Format::Text;
    };
    match format.get("type").and_then(Value::as_str) {
        Some("json_object") => Format::Json,
        Some("json_schema") => format
            .get("schema")
            .map_or(Format::Json, |schema| Format::Schema(schema.clone())),
        _ => Format::Text,
    }
}
