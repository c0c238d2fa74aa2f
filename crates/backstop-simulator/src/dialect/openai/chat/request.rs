use serde_json::Value;

use super::rules;
use crate::{
    ask::{Ask, Continuation, Message, Role, Tool, text_of},
    dialect::{
        fields::{field, is_true, list, strings, text_field, tool},
        openai::{format, tool_choice},
    },
    problem::Problem,
};

/// More replies than a caller can want.
const MOST_CHOICES: u64 = 128;

pub(in crate::dialect) fn read(body: &Value, deployment: Option<&str>) -> Result<Ask, Problem> {
    let model = text_field(body, "model")
        .or_else(|| deployment.map(str::to_owned))
        .filter(|model| !model.is_empty())
        .ok_or_else(|| Problem::invalid("you must provide a model parameter", "model"))?;
    let messages = field(body, "messages")
        .ok_or_else(|| Problem::invalid("Missing required parameter: 'messages'.", "messages"))?
        .as_array()
        .ok_or_else(|| {
            Problem::invalid(
                "Invalid type for 'messages': expected an array.",
                "messages",
            )
        })?;
    if messages.is_empty() {
        return Err(Problem::invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got \
             an empty array instead.",
            "messages",
        ));
    }
    let heard = messages
        .iter()
        .enumerate()
        .map(|(index, message)| message_of(index, message));
    let heard: Vec<Message> = heard.collect::<Result<_, _>>()?;
    if is_true(body, "continue_final_message") && is_true(body, "add_generation_prompt") {
        return Err(Problem::invalid(
            "Cannot set both `continue_final_message` and `add_generation_prompt` to True.",
            "continue_final_message",
        ));
    }
    let last_goes_on = messages
        .last()
        .is_some_and(|last| is_true(last, "prefix") || is_true(last, "partial"));
    let max_tokens =
        match field(body, "max_completion_tokens").or_else(|| field(body, "max_tokens")) {
            Some(max) => Some(max.as_u64().ok_or_else(|| {
                Problem::invalid(
                    "Invalid type for 'max_tokens': expected an integer.",
                    "max_tokens",
                )
            })?),
            None => None,
        };
    rules::check(body)?;
    let mut ask = Ask {
        model,
        max_tokens,
        stream: is_true(body, "stream"),
        include_usage: body
            .get("stream_options")
            .is_some_and(|o| is_true(o, "include_usage")),
        stops: strings(body.get("stop")),
        tools: tools(body),
        tool_choice: tool_choice(body, "/function/name"),
        format: format(body.get("response_format"), "/json_schema/schema"),
        choices: body
            .get("n")
            .and_then(Value::as_u64)
            .unwrap_or(1)
            .clamp(1, MOST_CHOICES) as usize,
        ..Ask::default()
    };
    ask.hear(heard);
    if last_goes_on || is_true(body, "continue_final_message") {
        ask.continuation = Continuation::Flag;
    }
    Ok(ask)
}

fn message_of(index: usize, message: &Value) -> Result<Message, Problem> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user" | "tool" | "function") => Role::User,
        Some("assistant") => Role::Assistant,
        Some(other) => {
            return Err(Problem::invalid(
                format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', \
                     'user', 'function', 'tool', and 'developer'."
                ),
                "messages",
            ));
        }
        None => {
            return Err(Problem::invalid(
                format!("Missing required parameter: 'messages[{index}].role'."),
                "messages",
            ));
        }
    };
    let text = message.get("content").map(text_of).unwrap_or_default();
    Ok(Message::new(role, text))
}

fn tools(body: &Value) -> Vec<Tool> {
    let functions = list(body, "tools").iter();
    let functions = functions.filter_map(|tool| tool.get("function"));
    functions
        .filter_map(|it| tool(it, &["parameters"]))
        .collect()
}
