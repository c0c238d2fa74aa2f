//! Requests, written to a provider.

use http::HeaderMap;
use serde::Serialize;

use super::part::{write_part, write_result};
use crate::{
    Chat, Dialect, Json, Message, Part, Reasoning, ReasoningMode, ResponseFormat, Role, Tool,
    ToolChoice, dialect::Encoded,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    contents: Vec<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: Config<'a>,
}

#[derive(Serialize)]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Json>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: Calling<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

pub(super) fn encode(chat: &Chat) -> Encoded {
    let method = if chat.stream {
        // Without `alt=sse` a stream is one JSON array.
        "streamGenerateContent?alt=sse"
    } else {
        "generateContent"
    };
    let wire = WireRequest {
        contents: write_contents(chat),
        system_instruction: chat.system_text().map(|text| Content {
            role: None,
            parts: vec![Json::of(&serde_json::json!({ "text": text }))],
        }),
        tools: write_tools(&chat.tools),
        tool_config: chat.tool_choice.as_ref().map(write_choice),
        generation_config: write_config(chat),
    };
    let mut body = serde_json::to_vec(&wire).unwrap_or_default();
    crate::json_write::add_fields(&mut body, chat.extra_for(Dialect::Gemini));
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
            Some(last) if last.role == Some(role) => last.parts.extend(parts),
            _ if parts.is_empty() => {}
            _ => contents.push(Content {
                role: Some(role),
                parts,
            }),
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
    let name = model.rsplit('/').next().unwrap_or(model);
    let generation = name
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

fn write_choice(choice: &ToolChoice) -> ToolConfig<'_> {
    let (mode, name) = match choice {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::Named(name) => ("ANY", Some([name.as_str()])),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
    };
    ToolConfig {
        function_calling_config: Calling {
            mode,
            allowed_function_names: name,
        },
    }
}

fn write_config(chat: &Chat) -> Config<'_> {
    let sampling = &chat.sampling;
    let (response_mime_type, response_json_schema) = match &chat.format {
        ResponseFormat::Text => (None, None),
        ResponseFormat::Json => (Some("application/json"), None),
        ResponseFormat::Schema { schema, .. } => (Some("application/json"), Some(schema)),
    };
    Config {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        seed: sampling.seed,
        candidate_count: sampling.n.filter(|n| *n > 1),
        response_logprobs: sampling.logprobs.filter(|asked| *asked),
        logprobs: sampling.top_logprobs,
        max_output_tokens: chat.max_tokens,
        stop_sequences: &chat.stop,
        response_mime_type,
        response_json_schema,
        thinking_config: chat
            .reasoning
            .as_ref()
            .map(|r| write_thinking(r, &chat.model)),
    }
}

/// How much to think: a level from the third generation on, a number of tokens before it.
fn write_thinking(reasoning: &Reasoning, model: &str) -> Thinking {
    let off = reasoning.mode == Some(ReasoningMode::Disabled)
        || reasoning.effort.as_deref() == Some("none");
    let level = match (off, reasoning.effort.as_deref()) {
        (true, _) => Some(("MINIMAL", 0)),
        (_, Some("minimal")) => Some(("MINIMAL", 512)),
        (_, Some("low")) => Some(("LOW", 1024)),
        (_, Some("medium")) => Some(("MEDIUM", 8192)),
        (_, Some(_)) => Some(("HIGH", 24_576)),
        (_, None) => None,
    };
    let mut thinking = Thinking {
        include_thoughts: reasoning.visible,
        thinking_budget: reasoning.budget.filter(|_| !off),
        thinking_level: None,
    };
    match level {
        Some((level, _)) if signs_calls(model) && thinking.thinking_budget.is_none() => {
            thinking.thinking_level = Some(level);
        }
        Some((_, tokens)) => {
            thinking.thinking_budget.get_or_insert(tokens);
        }
        None => {}
    }
    thinking
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
