//! Requests, written to a provider.

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    message::{WireMessage, write_assistant},
    part::write_content,
    request::WireFunction,
    tool_id,
};
use crate::{
    Chat, ChatRequest, Dialect, Error, Json, Message, Original, Part, Reasoning, ResponseFormat,
    Role, Tool, ToolChoice,
    abilities::base_name,
    dialect::Encoded,
    json_write::{self, Fields},
    object::Object,
    plan::Plan,
    wire_text::TextOr,
};

pub(super) fn encode(request: &ChatRequest, plan: &Plan) -> Result<Encoded, Error> {
    let model = plan.model.as_deref().unwrap_or(request.model());
    let keeps = plan.keeps_original() && tool_id::all_fit(request.chat(), model);
    let body = match request.original() {
        Some(original) if original.dialect == Dialect::OpenAi && keeps => {
            match rename(request, original, plan) {
                Some(renamed) => renamed,
                None => patch(request, original, plan)?.into(),
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
fn patch(request: &ChatRequest, original: &Original, plan: &Plan) -> Result<Vec<u8>, Error> {
    let mut object = original.object()?;
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
    let mut messages = object.list("messages");
    if let Some(system) = &plan.system {
        messages.retain(|message| !is_operators(message));
        let message = json!({ "role": "system", "content": system });
        messages.insert(0, Json::of(&message));
    }
    let model = plan.model.as_deref().unwrap_or_default();
    let added = plan.append.iter().flat_map(|m| write_message(m, model));
    messages.extend(added.map(|message| Json::of(&message)));
    messages
}

/// Whether a message on the wire, or an item, is the operator's.
pub(crate) fn is_operators(message: &Json) -> bool {
    matches!(message.word("role").as_str(), "system" | "developer")
}

/// The request written anew.
fn translate(chat: &Chat, plan: &Plan) -> Vec<u8> {
    let model = chat.model.as_str();
    let messages = chat.messages.iter();
    let messages: Vec<_> = messages.flat_map(|it| write_message(it, model)).collect();
    let tools: Vec<_> = chat.tools.iter().filter_map(write_tool).collect();
    let sampling = &chat.sampling;
    json_write::object(|body| {
        body.set("model", model);
        body.set("messages", &messages);
        body.list("tools", &tools);
        let choice = chat.tool_choice.as_ref();
        let named = |name: &str| json!({ "type": "function", "function": { "name": name } });
        body.some("tool_choice", choice.map(|it| write_tool_choice(it, named)));
        if !chat.tools.is_empty() {
            body.some("parallel_tool_calls", chat.parallel_tool_calls);
        }
        write_format(&chat.format, body);
        body.some("temperature", sampling.temperature);
        body.some("top_p", sampling.top_p);
        body.some("top_k", sampling.top_k);
        body.some("presence_penalty", sampling.presence_penalty);
        body.some("frequency_penalty", sampling.frequency_penalty);
        body.some("seed", sampling.seed);
        body.some("n", sampling.n);
        body.some("logprobs", sampling.logprobs);
        body.some("top_logprobs", sampling.top_logprobs);
        body.some(limit_name(model), chat.max_tokens);
        body.list("stop", &chat.stop);
        body.some("reasoning_effort", chat.reasoning.as_ref().and_then(effort));
        body.some("user", chat.user.as_ref());
        body.flag("stream", chat.stream);
        if chat.stream && (plan.stream_usage || chat.include_usage) {
            body.set("stream_options", &json!({ "include_usage": true }));
        }
        if chat.continue_final_message {
            body.set("continue_final_message", &true);
            body.set("add_generation_prompt", &false);
        }
        let own = chat.extra_for(Dialect::OpenAi);
        body.extend(own);
        if own.is_empty() {
            body.some("verbosity", chat.verbosity(Dialect::OpenAi));
        }
    })
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
    let name = base_name(model);
    ["gpt-4", "gpt-5", "o1", "o3", "o4", "chatgpt-"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// The effort; one who is only said to think does so as usual.
fn effort(reasoning: &Reasoning) -> Option<&str> {
    let usual = reasoning.mode.map(|_| "medium");
    reasoning.effort_word().or(usual)
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

/// Writes a choice in the words of both of OpenAI's dialects, that of one tool by `named`.
pub(crate) fn write_tool_choice(choice: &ToolChoice, named: impl FnOnce(&str) -> Value) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::Named(name) => named(name),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
    }
}

fn write_format(format: &ResponseFormat, body: &mut Fields<'_>) {
    match format {
        ResponseFormat::Text => {}
        ResponseFormat::Json => body.set("response_format", &json!({ "type": "json_object" })),
        ResponseFormat::Schema { .. } => body.object("response_format", |out| {
            out.set("type", "json_schema");
            out.object("json_schema", |out| write_schema(format, out));
        }),
    }
}

/// Writes what is said of a schema, in either of OpenAI's dialects.
pub(crate) fn write_schema(format: &ResponseFormat, out: &mut Fields<'_>) {
    if let ResponseFormat::Schema {
        name,
        description,
        schema,
        strict,
    } = format
    {
        out.set("name", name.as_deref().unwrap_or("answer"));
        out.some("description", description.as_ref());
        out.set("schema", schema);
        out.some("strict", *strict);
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
