//! Requests, written to a provider.

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{
    message::{WireMessage, write_assistant},
    part::write_content,
    request::WireFunction,
    tool_id,
};
use crate::{
    Chat, ChatRequest, Dialect, Error, Json, Message, Original, Part, Reasoning, ResponseFormat,
    Role, Tool, ToolChoice, dialect::Encoded, json_write, object::Object, plan::Plan,
    wire_text::TextOr,
};

pub(super) fn encode(request: &ChatRequest, plan: &Plan) -> Result<Encoded, Error> {
    let model = plan.model.as_deref().unwrap_or(request.model());
    let keeps = plan.keeps_original() && tool_id::all_fit(request.chat(), model);
    let body = match request.original() {
        Some(original) if original.dialect == Dialect::OpenAi && keeps => {
            match rename(request, original, plan) {
                Some(renamed) => renamed,
                None => patch(request, &original.body, plan)?.into(),
            }
        }
        _ => translate(&plan.chat(request), plan).into(),
    };
    Ok(Encoded {
        path: "/chat/completions".to_owned(),
        headers: HeaderMap::new(),
        body,
    })
}

/// The caller's own bytes with another model's name in them, where that is all that has to be
/// changed, as it mostly is.
fn rename(request: &ChatRequest, original: &Original, plan: &Plan) -> Option<Bytes> {
    let chat = request.chat();
    let limit = plan.max_tokens.or(chat.max_tokens);
    let more = limit.is_some()
        || plan.system.is_some()
        || !plan.append.is_empty()
        || plan.continue_final_message
        || asks_for_usage(request, plan);
    if more {
        return None;
    }
    let body = &original.body;
    let Some(model) = &plan.model else {
        return Some(body.clone());
    };
    let place = original.model.clone()?;
    let (before, after) = (body.get(..place.start)?, body.get(place.end..)?);
    let mut renamed = Vec::with_capacity(body.len() + model.len());
    renamed.extend_from_slice(before);
    json_write::string(&mut renamed, model);
    renamed.extend_from_slice(after);
    Some(renamed.into())
}

/// Whether the usage is asked for although the caller does not.
fn asks_for_usage(request: &ChatRequest, plan: &Plan) -> bool {
    request.is_streamed() && plan.stream_usage && !request.chat().include_usage
}

/// The caller's own bytes, with the few fields changed that have to be.
fn patch(request: &ChatRequest, body: &[u8], plan: &Plan) -> Result<Vec<u8>, Error> {
    let mut object = Object::parse(body)
        .map_err(|error| Error::invalid(format!("the body is not JSON: {error}")))?;
    let model = plan.model.as_deref().unwrap_or(request.model());
    if plan.model.is_some() {
        object.set("model", model);
    }
    let limit = limit_name(model);
    let other = if limit == "max_tokens" {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    if plan.max_tokens.is_some() || (object.get(other).is_some() && object.get(limit).is_none()) {
        if let Some(tokens) = plan.max_tokens.or(request.chat().max_tokens) {
            object.remove(other);
            object.set(limit, &tokens);
        }
    }
    if plan.system.is_some() || !plan.append.is_empty() {
        object.set("messages", &patch_messages(&object, plan));
    }
    if plan.continue_final_message {
        object.set("continue_final_message", &true);
        object.set("add_generation_prompt", &false);
    }
    if asks_for_usage(request, plan) {
        let mut options = match object.get("stream_options") {
            Some(raw) => Object::parse(raw.get().as_bytes()).unwrap_or_default(),
            None => Object::default(),
        };
        options.set("include_usage", &true);
        let options = String::from_utf8(options.to_vec()).unwrap_or_default();
        if let Ok(options) = Json::parse(options) {
            object.set("stream_options", &options);
        }
    }
    Ok(object.to_vec())
}

/// The caller's messages, those of the system exchanged, some added.
fn patch_messages(object: &Object<'_>, plan: &Plan) -> Vec<Json> {
    #[derive(Deserialize)]
    struct Role {
        #[serde(default)]
        role: String,
    }
    let mut messages: Vec<Json> = object
        .get("messages")
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    if let Some(system) = &plan.system {
        messages.retain(|json| {
            !json
                .read::<Role>()
                .is_ok_and(|m| m.role == "system" || m.role == "developer")
        });
        let message = serde_json::json!({ "role": "system", "content": system });
        messages.insert(0, Json::of(&message));
    }
    let model = plan.model.as_deref().unwrap_or_default();
    let added = plan.append.iter().flat_map(|m| write_message(m, model));
    messages.extend(added.map(|message| Json::of(&message)));
    messages
}

#[derive(Default, Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: Vec<WireMessage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Json>,
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
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Json>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continue_final_message: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    add_generation_prompt: Option<bool>,
}

/// The request written anew.
fn translate(chat: &Chat, plan: &Plan) -> Vec<u8> {
    let model = chat.model.as_str();
    let (old, new) = if limit_name(model) == "max_tokens" {
        (chat.max_tokens, None)
    } else {
        (None, chat.max_tokens)
    };
    let sampling = &chat.sampling;
    let usage = chat.stream && (plan.stream_usage || chat.include_usage);
    let wire = WireRequest {
        model,
        messages: chat
            .messages
            .iter()
            .flat_map(|message| write_message(message, model))
            .collect(),
        tools: chat.tools.iter().filter_map(write_tool).collect(),
        tool_choice: chat.tool_choice.as_ref().map(write_tool_choice),
        parallel_tool_calls: chat.parallel_tool_calls.filter(|_| !chat.tools.is_empty()),
        response_format: write_format(&chat.format),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        seed: sampling.seed,
        n: sampling.n,
        logprobs: sampling.logprobs,
        top_logprobs: sampling.top_logprobs,
        max_tokens: old,
        max_completion_tokens: new,
        stop: &chat.stop,
        reasoning_effort: chat.reasoning.as_ref().and_then(effort),
        user: chat.user.as_deref(),
        stream: chat.stream,
        stream_options: usage.then(|| Json::of(&serde_json::json!({ "include_usage": true }))),
        continue_final_message: chat.continue_final_message,
        add_generation_prompt: chat.continue_final_message.then_some(false),
    };
    let mut body = serde_json::to_vec(&wire).unwrap_or_default();
    json_write::add_fields(&mut body, chat.extra_for(Dialect::OpenAi));
    if let (Some(verbosity), []) = (
        chat.verbosity(Dialect::OpenAi),
        chat.extra_for(Dialect::OpenAi),
    ) {
        let field = ("verbosity".to_owned(), verbosity.clone());
        json_write::add_fields(&mut body, [&field]);
    }
    body
}

/// OpenAI's own models count thoughts into the limit and have a new name for it, which most
/// compatible servers don't know.
fn limit_name(model: &str) -> &'static str {
    if is_openai(model) {
        "max_completion_tokens"
    } else {
        "max_tokens"
    }
}

fn is_openai(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    ["gpt-4", "gpt-5", "o1", "o3", "o4", "chatgpt-"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// The effort in one of OpenAI's words; a budget of tokens is put into the nearest of them.
fn effort(reasoning: &Reasoning) -> Option<&str> {
    use crate::ReasoningMode::{Adaptive, Disabled, Enabled};
    match (&reasoning.effort, reasoning.mode, reasoning.budget) {
        (_, Some(Disabled), _) => Some("none"),
        (Some(effort), ..) => Some(effort),
        (None, _, Some(0..=2048)) => Some("low"),
        (None, _, Some(2049..=8192)) => Some("medium"),
        (None, _, Some(_)) => Some("high"),
        (None, Some(Adaptive | Enabled), None) => Some("medium"),
        (None, None, None) => None,
    }
}

fn write_tool(tool: &Tool) -> Option<Json> {
    #[derive(Serialize)]
    struct WireTool {
        r#type: &'static str,
        function: WireFunction,
    }
    match tool {
        Tool::Function(function) => Some(Json::of(&WireTool {
            r#type: "function",
            function: WireFunction {
                name: function.name.clone(),
                description: function.description.clone(),
                parameters: function.schema.clone(),
                strict: function.strict,
            },
        })),
        Tool::Native {
            dialect: Dialect::OpenAi,
            json,
        } => Some(json.clone()),
        Tool::Native { .. } => None,
    }
}

fn write_tool_choice(choice: &ToolChoice) -> Json {
    match choice {
        ToolChoice::Auto => Json::of("auto"),
        ToolChoice::None => Json::of("none"),
        ToolChoice::Required => Json::of("required"),
        ToolChoice::Named(name) => Json::of(&serde_json::json!({
            "type": "function", "function": { "name": name },
        })),
    }
}

fn write_format(format: &ResponseFormat) -> Option<Json> {
    #[derive(Serialize)]
    struct Wire<'a> {
        r#type: &'static str,
        json_schema: Schema<'a>,
    }
    #[derive(Serialize)]
    struct Schema<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    }
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::Json => Some(Json::of(&serde_json::json!({ "type": "json_object" }))),
        ResponseFormat::Schema {
            name,
            description,
            schema,
            strict,
        } => Some(Json::of(&Wire {
            r#type: "json_schema",
            json_schema: Schema {
                name: name.as_deref().unwrap_or("answer"),
                description: description.as_deref(),
                schema,
                strict: *strict,
            },
        })),
    }
}

/// Writes a message. One with tool results becomes one message for each of them, and a further one
/// for what else it holds: elsewhere results are parts of a person's message.
fn write_message(message: &Message, model: &str) -> Vec<WireMessage> {
    let role = match message.role {
        Role::Assistant => {
            let mut wire = write_assistant(&message.content);
            // Thoughts are not sent back: most servers ignore them, and some refuse them.
            wire.reasoning_content = None;
            wire.reasoning_details.clear();
            wire.annotations.clear();
            // Only Google reads its own signatures, and others refuse the field.
            if !model.contains("gemini") {
                for call in wire.tool_calls.iter_mut().flatten() {
                    call.extra_content = None;
                }
            }
            for call in wire.tool_calls.iter_mut().flatten() {
                call.id = tool_id::write(&call.id, model).into_owned();
            }
            wire.name.clone_from(&message.name);
            return vec![wire];
        }
        Role::Developer if is_openai(model) => "developer",
        Role::Developer | Role::System => "system",
        Role::Tool | Role::User => "user",
    };
    let mut messages = Vec::new();
    let mut rest = Vec::new();
    for part in &message.content {
        match part {
            Part::ToolResult(result) => {
                // A tool may only give text here; what else it gave follows as a person's message.
                let (said, other): (Vec<_>, Vec<_>) = result
                    .told()
                    .iter()
                    .cloned()
                    .partition(|part| part.as_text().is_some());
                rest.extend(other);
                messages.push(WireMessage {
                    role: "tool".to_owned(),
                    content: Some(write_content(&said).unwrap_or_else(empty)),
                    tool_call_id: Some(tool_id::write(&result.id, model).into_owned()),
                    ..WireMessage::default()
                });
            }
            part => rest.push(part.clone()),
        }
    }
    let content = write_content(&rest);
    if content.is_some() || messages.is_empty() {
        messages.push(WireMessage {
            role: role.to_owned(),
            content: Some(content.unwrap_or_else(empty)),
            name: message.name.clone(),
            ..WireMessage::default()
        });
    }
    messages
}

const fn empty() -> TextOr<Json> {
    TextOr::Text(String::new())
}
