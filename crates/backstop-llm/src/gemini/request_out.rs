//! Requests, written to a provider.

use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::part::{write_part, write_result};
use crate::{
    Chat, Dialect, Json, Message, Part, Reasoning, ResponseFormat, Role, Tool, ToolChoice,
    abilities::base_name, dialect::Encoded, json_write,
};

#[derive(Serialize)]
struct Content {
    role: &'static str,
    parts: Vec<Json>,
}

pub(super) fn encode(chat: &Chat) -> Encoded {
    let method = if chat.stream {
        // Without `alt=sse` a stream is one JSON array.
        "streamGenerateContent?alt=sse"
    } else {
        "generateContent"
    };
    let body = json_write::object(|body| {
        body.set("contents", &write_contents(chat));
        let system = chat
            .system_text()
            .map(|text| json!({ "parts": [{ "text": text }] }));
        body.some("systemInstruction", system);
        body.list("tools", &write_tools(&chat.tools));
        body.some("toolConfig", chat.tool_choice.as_ref().map(write_choice));
        body.object("generationConfig", |config| write_config(chat, config));
        body.extend(chat.extra_for(Dialect::Gemini));
    });
    Encoded {
        path: format!("/models/{}:{method}", chat.model),
        headers: HeaderMap::new(),
        body: body.into(),
    }
}

/// The conversation: a person's turns and the model's by turns, the results of tools a person's.
fn write_contents(chat: &Chat) -> Vec<Content> {
    let mut contents: Vec<Content> = Vec::new();
    for message in &chat.messages {
        let role = match message.role {
            Role::Developer | Role::System => continue,
            Role::Assistant => "model",
            Role::Tool | Role::User => "user",
        };
        let parts = write_parts(message, chat);
        match contents.last_mut() {
            Some(last) if last.role == role => last.parts.extend(parts),
            _ if parts.is_empty() => {}
            _ => contents.push(Content { role, parts }),
        }
    }
    contents
}

fn write_parts(message: &Message, chat: &Chat) -> Vec<Json> {
    let mut unsigned_first = signs_calls(&chat.model);
    let mut parts = Vec::new();
    for part in &message.content {
        match part {
            Part::ToolResult(result) => {
                parts.extend(write_result(result, tool_name(chat, &result.id)));
            }
            // The first of several calls carries the proof of the thoughts behind them. A call of
            // another provider's has none, and says so in the words that the API has for that.
            Part::ToolCall(call) if std::mem::take(&mut unsigned_first) => {
                let mut call = call.clone();
                let own = call
                    .signature
                    .as_ref()
                    .and_then(|s| s.for_dialect(Dialect::Gemini));
                if own.is_none() {
                    let none = crate::Signature::new(Dialect::Gemini, NO_SIGNATURE);
                    call.signature = Some(none);
                }
                parts.extend(write_part(&Part::ToolCall(call)));
            }
            part => parts.extend(write_part(part)),
        }
    }
    parts
}

const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Whether the model refuses calls of its own without the proof of the thoughts behind them: from
/// the third generation on.
fn signs_calls(model: &str) -> bool {
    let generation = base_name(model)
        .strip_prefix("gemini-")
        .and_then(|rest| rest.split(['.', '-']).next());
    generation.is_some_and(|n| {
        n.parse::<u32>()
            .map_or(n == "flash" || n == "pro", |n| n >= 3)
    })
}

/// The name of the tool that a call asked for.
fn tool_name<'a>(chat: &'a Chat, id: &'a str) -> &'a str {
    let parts = chat.messages.iter().flat_map(|message| &message.content);
    let mut calls = parts.filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    });
    calls
        .find(|call| call.id == id)
        .map_or(id, |call| &call.name)
}

fn write_tools(tools: &[Tool]) -> Vec<Json> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Functions<'a> {
        function_declarations: Vec<Declaration<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Declaration<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters_json_schema: Option<&'a Json>,
    }
    let mut written = Vec::new();
    let mut function_declarations = Vec::new();
    for tool in tools {
        match tool {
            Tool::Function(function) => function_declarations.push(Declaration {
                name: &function.name,
                description: function.description.as_deref(),
                parameters_json_schema: function.schema.as_ref(),
            }),
            Tool::Native {
                dialect: Dialect::Gemini,
                json,
            } => written.push(json.clone()),
            Tool::Native { .. } => {}
        }
    }
    if !function_declarations.is_empty() {
        written.insert(
            0,
            Json::of(&Functions {
                function_declarations,
            }),
        );
    }
    written
}

fn write_choice(choice: &ToolChoice) -> Value {
    let calling = match choice {
        ToolChoice::Auto => json!({ "mode": "AUTO" }),
        ToolChoice::Named(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
    };
    json!({ "functionCallingConfig": calling })
}

fn write_config(chat: &Chat, config: &mut json_write::Fields<'_>) {
    let sampling = &chat.sampling;
    config.some("temperature", sampling.temperature);
    config.some("topP", sampling.top_p);
    config.some("topK", sampling.top_k);
    config.some("presencePenalty", sampling.presence_penalty);
    config.some("frequencyPenalty", sampling.frequency_penalty);
    config.some("seed", sampling.seed);
    config.some("candidateCount", sampling.n.filter(|n| *n > 1));
    config.flag("responseLogprobs", sampling.logprobs == Some(true));
    config.some("logprobs", sampling.top_logprobs);
    config.some("maxOutputTokens", chat.max_tokens);
    config.list("stopSequences", &chat.stop);
    match &chat.format {
        ResponseFormat::Text => {}
        ResponseFormat::Json => config.set("responseMimeType", JSON),
        ResponseFormat::Schema { schema, .. } => {
            config.set("responseMimeType", JSON);
            config.set("responseJsonSchema", schema);
        }
    }
    if let Some(reasoning) = &chat.reasoning {
        config.object("thinkingConfig", |config| {
            write_thinking(reasoning, &chat.model, config);
        });
    }
}

const JSON: &str = "application/json";

/// How much to think: a level from the third generation on, a number of tokens before it.
fn write_thinking(reasoning: &Reasoning, model: &str, config: &mut json_write::Fields<'_>) {
    let off = reasoning.is_off();
    let level = match (off, reasoning.effort.as_deref()) {
        (true, _) => Some(("MINIMAL", 0)),
        (_, Some("minimal")) => Some(("MINIMAL", 512)),
        (_, Some("low")) => Some(("LOW", 1024)),
        (_, Some("medium")) => Some(("MEDIUM", 8192)),
        (_, Some(_)) => Some(("HIGH", 24_576)),
        (_, None) => None,
    };
    config.some("includeThoughts", reasoning.visible);
    match (reasoning.budget.filter(|_| !off), level) {
        (Some(budget), _) => config.set("thinkingBudget", &budget),
        (None, Some((level, _))) if signs_calls(model) => config.set("thinkingLevel", level),
        (None, Some((_, tokens))) => config.set("thinkingBudget", &tokens),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_later_generations_sign_their_calls() {
        assert!(signs_calls("gemini-3-pro-preview"));
        assert!(signs_calls("models/gemini-3.5-flash"));
        assert!(signs_calls("gemini-flash-latest"));
        assert!(!signs_calls("gemini-2.5-pro"));
        assert!(!signs_calls("gemma-3"));
    }
}
