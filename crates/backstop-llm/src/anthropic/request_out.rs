//! Requests, written to a provider.

use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::json;

use super::block::{To, write_block};
use crate::{
    Chat, ChatRequest, Dialect, Error, Json, Message, Original, Part, Reasoning, ResponseFormat,
    Role, Tool, ToolChoice, abilities::thinks_adaptively, dialect::Encoded, json_write, plan::Plan,
};

/// The version of the API, which every request must name.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The limit of tokens for a model of which no limit is known: the dialect insists on one.
const MAX_TOKENS: u64 = 4096;

pub(super) fn encode(request: &ChatRequest, plan: &Plan) -> Result<Encoded, Error> {
    let body = match request.original() {
        Some(original) if original.dialect == Dialect::Anthropic && plan.keeps_original() => {
            patch(request.chat(), original, plan)?
        }
        _ => translate(&plan.chat(request), plan),
    };
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", VERSION);
    Ok(Encoded {
        path: "/v1/messages".to_owned(),
        headers,
        body: body.into(),
    })
}

/// The caller's own bytes, with the few fields changed that have to be.
fn patch(chat: &Chat, original: &Original, plan: &Plan) -> Result<Vec<u8>, Error> {
    let mut object = original.object()?;
    if let Some(model) = &plan.model {
        object.set("model", model);
    }
    let asked = plan.max_tokens.or(chat.max_tokens);
    // A limit beyond what the model can write would be refused, and is no different from its own.
    let most = asked.map(|tokens| tokens.min(plan.max_output.unwrap_or(u64::MAX)));
    if let Some(tokens) = most.filter(|_| most != chat.max_tokens) {
        object.set("max_tokens", &tokens);
    }
    if let Some(system) = &plan.system {
        object.set("system", system);
    }
    if !plan.append.is_empty() {
        let mut messages = object.list("messages");
        let added = write_messages(&plan.append);
        messages.extend(added.iter().map(Json::of));
        object.set("messages", &messages);
    }
    Ok(object.to_vec())
}

#[derive(Serialize)]
struct WireMessage {
    role: &'static str,
    content: Vec<Json>,
}

/// The request written anew.
fn translate(chat: &Chat, plan: &Plan) -> Vec<u8> {
    let limit = plan.max_output.unwrap_or(u64::MAX);
    let max_tokens = chat
        .max_tokens
        .or(plan.max_output)
        .unwrap_or(MAX_TOKENS)
        .min(limit);
    let system = chat.messages.iter().filter(|it| it.role.is_operator());
    let system: Vec<_> = system
        .flat_map(|message| &message.content)
        .filter_map(|part| write_block(part, To::Provider))
        .collect();
    let tools: Vec<_> = chat.tools.iter().filter_map(write_tool).collect();
    let (thinking, effort) = match &chat.reasoning {
        Some(reasoning) => write_reasoning(reasoning, &chat.model, max_tokens),
        None => (None, None),
    };
    let schema = match &chat.format {
        ResponseFormat::Schema { schema, .. } => Some(schema),
        _ => None,
    };
    json_write::object(|body| {
        body.set("model", &chat.model);
        body.set("max_tokens", &max_tokens);
        body.list("system", &system);
        body.set("messages", &write_messages(&chat.messages));
        body.list("tools", &tools);
        body.some("tool_choice", write_tool_choice(chat));
        body.some("temperature", chat.sampling.temperature);
        body.some("top_p", chat.sampling.top_p);
        body.some("top_k", chat.sampling.top_k);
        body.list("stop_sequences", &chat.stop);
        body.some("thinking", thinking);
        if effort.is_some() || schema.is_some() {
            body.object("output_config", |output| {
                output.some("effort", effort);
                if let Some(schema) = schema {
                    output.object("format", |format| {
                        format.set("type", "json_schema");
                        format.set("schema", schema);
                    });
                }
            });
        }
        let user = chat.user.as_ref();
        body.some("metadata", user.map(|user| json!({ "user_id": user })));
        body.flag("stream", chat.stream);
        body.extend(chat.extra_for(Dialect::Anthropic));
    })
}

/// Writes the conversation in turns: what one side says in several messages becomes one, and tool
/// results come before what else a person says, as the dialect wants it.
fn write_messages(messages: &[Message]) -> Vec<WireMessage> {
    let mut turns: Vec<WireMessage> = Vec::new();
    for message in messages.iter().filter(|it| !it.role.is_operator()) {
        let role = match message.role {
            Role::Assistant => "assistant",
            _ => "user",
        };
        let results_first = |part: &&Part| !matches!(part, Part::ToolResult(_));
        let mut parts: Vec<_> = message.content.iter().collect();
        parts.sort_by_key(results_first);
        let blocks = parts
            .iter()
            .filter_map(|part| write_block(part, To::Provider));
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ => turns.push(WireMessage {
                role,
                content: blocks.collect(),
            }),
        }
    }
    turns.retain(|turn| !turn.content.is_empty());
    turns
}

fn write_tool(tool: &Tool) -> Option<Json> {
    #[derive(Serialize)]
    struct Wire<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    }
    match tool {
        Tool::Function(function) => Some(Json::of(&Wire {
            name: &function.name,
            description: function.description.as_deref(),
            input_schema: function
                .schema
                .clone()
                .unwrap_or_else(|| Json::of(&json!({ "type": "object", "properties": {} }))),
            strict: function.strict,
        })),
        Tool::Native {
            dialect: Dialect::Anthropic,
            json,
        } => Some(json.clone()),
        Tool::Native { .. } => None,
    }
}

fn write_tool_choice(chat: &Chat) -> Option<Json> {
    if chat.tools.is_empty() {
        return None;
    }
    let single = chat.parallel_tool_calls == Some(false);
    let mut choice = match &chat.tool_choice {
        None if !single => return None,
        None | Some(ToolChoice::Auto) => json!({ "type": "auto" }),
        Some(ToolChoice::None) => return Some(Json::of(&json!({ "type": "none" }))),
        Some(ToolChoice::Required) => json!({ "type": "any" }),
        Some(ToolChoice::Named(name)) => json!({ "type": "tool", "name": name }),
    };
    if single {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Some(Json::of(&choice))
}

/// How much to think. Newer models decide by themselves within an effort, older ones are given a
/// budget, which must be less than the limit of the answer.
fn write_reasoning<'a>(
    reasoning: &'a Reasoning,
    model: &str,
    max_tokens: u64,
) -> (Option<Json>, Option<&'a str>) {
    let effort = reasoning.effort.as_deref();
    if reasoning.is_off() {
        return (Some(Json::of(&json!({ "type": "disabled" }))), None);
    }
    if thinks_adaptively(model) {
        let mut thinking = json!({ "type": "adaptive" });
        if let Some(visible) = reasoning.visible {
            thinking["display"] = if visible { "summarized" } else { "omitted" }.into();
        }
        let effort = match reasoning.effort_word() {
            Some("minimal") => Some("low"),
            effort => effort,
        };
        return (Some(Json::of(&thinking)), effort);
    }
    let wanted = reasoning.budget.unwrap_or(match effort {
        Some("minimal" | "low") => 1024,
        Some("medium") => 8192,
        _ => 16_384,
    });
    // Less than 1,024 tokens of thought are refused; a short answer is then better off without.
    let budget = wanted.min(max_tokens / 2);
    let thinking =
        (budget >= 1024).then(|| Json::of(&json!({ "type": "enabled", "budget_tokens": budget })));
    (thinking, None)
}
