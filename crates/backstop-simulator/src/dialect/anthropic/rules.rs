//! What Anthropic refuses although each field is right by itself.

use serde_json::Value;

use crate::{
    dialect::fields::{field, list},
    problem::Problem,
};

pub(super) fn check(body: &Value) -> Result<(), Problem> {
    tools(body)?;
    thinking(body)?;
    content(body)?;
    tool_turns(body)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Invalid {
        message: message.into(),
        param: None,
    })
}

fn tools(body: &Value) -> Result<(), Problem> {
    let tools = list(body, "tools");
    if tools.is_empty() && field(body, "tool_choice").is_some() {
        return refuse("tool_choice: may only be specified while providing tools");
    }
    for (index, tool) in tools.iter().enumerate() {
        // The server's own tools have a dated type, and no schema.
        let own = matches!(
            tool.get("type").and_then(Value::as_str),
            None | Some("custom")
        );
        if own && field(tool, "input_schema").is_none() {
            return refuse(format!("tools.{index}.custom.input_schema: Field required"));
        }
    }
    Ok(())
}

fn thinking(body: &Value) -> Result<(), Problem> {
    if body.pointer("/thinking/type").and_then(Value::as_str) != Some("enabled") {
        return Ok(());
    }
    let budget = body
        .pointer("/thinking/budget_tokens")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    if budget < 1024 {
        return refuse(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        );
    }
    if body
        .get("max_tokens")
        .and_then(Value::as_u64)
        .is_some_and(|max| max <= budget)
    {
        return refuse("`max_tokens` must be greater than `thinking.budget_tokens`");
    }
    if body
        .get("temperature")
        .and_then(Value::as_f64)
        .is_some_and(|value| value != 1.0)
    {
        return refuse("`temperature` may only be set to 1 when thinking is enabled");
    }
    match body.pointer("/tool_choice/type").and_then(Value::as_str) {
        Some("any" | "tool") => {
            refuse("Thinking may not be enabled when tool_choice forces tool use.")
        }
        _ => Ok(()),
    }
}

fn content(body: &Value) -> Result<(), Problem> {
    let messages = list(body, "messages");
    for (index, message) in messages.iter().enumerate() {
        let last_of_assistant = index + 1 == messages.len() && message["role"] == "assistant";
        let empty = match &message["content"] {
            Value::String(text) => text.is_empty(),
            Value::Array(blocks) => blocks.is_empty(),
            _ => false,
        };
        if empty && !last_of_assistant {
            return refuse(format!(
                "messages.{index}: all messages must have non-empty content except for the \
                 optional final assistant message"
            ));
        }
        let blocks = list(message, "content").iter();
        if blocks
            .into_iter()
            .any(|block| block["type"] == "text" && block["text"] == "")
        {
            return refuse("messages: text content blocks must be non-empty");
        }
    }
    Ok(())
}

/// Each call of a tool is answered in the very next turn, and nothing else is.
fn tool_turns(body: &Value) -> Result<(), Problem> {
    let turns = turns(list(body, "messages"));
    let mut open: Vec<&str> = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        let ids = |kind: &str, key: &str| -> Vec<&str> {
            let blocks = turn.iter().flat_map(|message| list(message, "content"));
            let blocks = blocks.filter(|block| block["type"] == kind);
            blocks
                .filter_map(|block| block.get(key)?.as_str())
                .collect()
        };
        let results = ids("tool_result", "tool_use_id");
        if let Some(id) = results.iter().find(|id| !open.contains(id)) {
            return refuse(format!(
                "messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. \
                 Each `tool_result` block must have a corresponding `tool_use` block in the \
                 previous message."
            ));
        }
        open.retain(|id| !results.contains(id));
        unanswered(index.saturating_sub(1), &open)?;
        open = ids("tool_use", "id");
        if let Some(id) = open.iter().find(|id| !is_id(id)) {
            return refuse(format!(
                "messages.{index}: tool_use.id: String should match pattern \
                 '^[a-zA-Z0-9_-]+$', not {id:?}"
            ));
        }
    }
    unanswered(turns.len().saturating_sub(1), &open)
}

fn unanswered(index: usize, open: &[&str]) -> Result<(), Problem> {
    if open.is_empty() {
        return Ok(());
    }
    refuse(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        open.join(", ")
    ))
}

/// Messages of one role that follow each other are one turn to the server.
fn turns(messages: &[Value]) -> Vec<&[Value]> {
    messages
        .chunk_by(|one, next| one["role"] == next["role"])
        .collect()
}

fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !id.is_empty() && id.bytes().all(allowed)
}
