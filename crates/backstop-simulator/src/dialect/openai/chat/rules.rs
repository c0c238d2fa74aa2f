//! What OpenAI refuses although each field is right by itself.

use serde_json::Value;

use crate::{
    dialect::fields::{check_range, field, list},
    problem::Problem,
};

pub(super) fn check(body: &Value) -> Result<(), Problem> {
    check_range(body, "temperature", 0.0..=2.0, |value| {
        format!(
            "Invalid 'temperature': decimal out of range. Expected a value between 0 and 2, but \
             got {value} instead."
        )
    })?;
    let tools = list(body, "tools");
    let forced = field(body, "tool_choice").is_some_and(|choice| choice != "none");
    if tools.is_empty() && forced {
        return Err(Problem::invalid(
            "'tool_choice' is only allowed when 'tools' are specified.",
            "tool_choice",
        ));
    }
    tool_turns(list(body, "messages"))
}

/// Each call of a tool is answered right after it, and nothing else is.
fn tool_turns(messages: &[Value]) -> Result<(), Problem> {
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message
                .get("tool_call_id")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let Some(place) = open.iter().position(|call| *call == id) else {
                return Err(Problem::invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a \
                     preceeding message with 'tool_calls'.",
                    "messages",
                ));
            };
            open.swap_remove(place);
            continue;
        }
        unanswered(&open)?;
        open = list(message, "tool_calls")
            .iter()
            .filter_map(|call| call.get("id")?.as_str())
            .collect();
    }
    unanswered(&open)
}

fn unanswered(open: &[&str]) -> Result<(), Problem> {
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(Problem::invalid(message, "messages"))
}
