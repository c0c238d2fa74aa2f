//! Requests, written to a provider.

use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::item_out::write_items;
use crate::{
    Chat, ChatRequest, Dialect, Error, Json, Message, Original, Reasoning, ResponseFormat, Role,
    Tool,
    dialect::Encoded,
    json_write::{self, Fields},
    openai::{is_operators, write_schema, write_tool_choice},
    plan::Plan,
    wire_text::TextOr,
};

pub(super) fn encode(request: &ChatRequest, plan: &Plan) -> Result<Encoded, Error> {
    let body = match request.original() {
        Some(original) if original.dialect == Dialect::Responses && plan.keeps_original() => {
            patch(original, plan)?
        }
        _ => translate(&plan.chat(request)),
    };
    Ok(Encoded {
        path: "/responses".to_owned(),
        headers: HeaderMap::new(),
        body: body.into(),
    })
}

/// The caller's own bytes, with the few fields changed that have to be.
fn patch(original: &Original, plan: &Plan) -> Result<Vec<u8>, Error> {
    let mut object = original.object()?;
    if let Some(model) = &plan.model {
        object.set("model", model);
    }
    if let Some(tokens) = plan.max_tokens {
        object.set("max_output_tokens", &tokens);
    }
    if let Some(system) = &plan.system {
        object.set("instructions", system);
    }
    if !plan.append.is_empty() || plan.system.is_some() {
        let input = object
            .get("input")
            .map(|raw| serde_json::from_str(raw.get()));
        let mut items = match input {
            Some(Ok(TextOr::Parts(items))) => items,
            Some(Ok(TextOr::Text(text))) => write_items(&Message::text(Role::User, text)),
            _ => Vec::new(),
        };
        if plan.system.is_some() {
            items.retain(|item| !is_operators(item));
        }
        items.extend(plan.append.iter().flat_map(write_items));
        object.set("input", &items);
    }
    Ok(object.to_vec())
}

/// The request written anew. Unless the caller says otherwise nothing is to be stored: the
/// conversation comes whole each time, and with it what the model has thought, sealed.
fn translate(chat: &Chat) -> Vec<u8> {
    let own = chat.extra_for(Dialect::Responses);
    let says = |field: &str| own.iter().any(|(name, _)| name == field);
    let input: Vec<_> = chat.messages.iter().flat_map(write_items).collect();
    let tools: Vec<_> = chat.tools.iter().filter_map(write_tool).collect();
    json_write::object(|body| {
        body.set("model", &chat.model);
        body.set("input", &input);
        body.list("tools", &tools);
        let choice = chat.tool_choice.as_ref();
        let named = |name: &str| json!({ "type": "function", "name": name });
        body.some("tool_choice", choice.map(|it| write_tool_choice(it, named)));
        if !chat.tools.is_empty() {
            body.some("parallel_tool_calls", chat.parallel_tool_calls);
        }
        write_text(&chat.format, chat.verbosity(Dialect::Responses), body);
        body.some("temperature", chat.sampling.temperature);
        body.some("top_p", chat.sampling.top_p);
        body.some("top_logprobs", chat.sampling.top_logprobs);
        body.some("max_output_tokens", chat.max_tokens);
        body.some(
            "reasoning",
            chat.reasoning.as_ref().and_then(write_reasoning),
        );
        body.some("user", chat.user.as_ref());
        body.flag("stream", chat.stream);
        if !says("store") {
            body.set("store", &false);
        }
        if chat.reasoning.is_some() && !says("include") {
            body.set("include", &["reasoning.encrypted_content"]);
        }
        body.extend(own.iter().filter(|(name, _)| name != "verbosity"));
    })
}

fn write_tool(tool: &Tool) -> Option<Json> {
    #[derive(Serialize)]
    struct Wire<'a> {
        r#type: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        parameters: Option<&'a Json>,
        // The dialect's default is strict, which a schema not made for it would break.
        strict: bool,
    }
    match tool {
        Tool::Function(function) => Some(Json::of(&Wire {
            r#type: "function",
            name: &function.name,
            description: function.description.as_deref(),
            parameters: function.schema.as_ref(),
            strict: function.strict.unwrap_or_default(),
        })),
        Tool::Native {
            dialect: Dialect::Responses,
            json,
        } => Some(json.clone()),
        Tool::Native { .. } => None,
    }
}

fn write_text(format: &ResponseFormat, verbosity: Option<&Json>, body: &mut Fields<'_>) {
    let plain = *format == ResponseFormat::Text;
    if plain && verbosity.is_none() {
        return;
    }
    body.object("text", |text| {
        if !plain {
            text.object("format", |out| write_format(format, out));
        }
        text.some("verbosity", verbosity);
    });
}

fn write_format(format: &ResponseFormat, out: &mut Fields<'_>) {
    let kind = match format {
        ResponseFormat::Text => "text",
        ResponseFormat::Json => "json_object",
        ResponseFormat::Schema { .. } => "json_schema",
    };
    out.set("type", kind);
    write_schema(format, out);
}

fn write_reasoning(reasoning: &Reasoning) -> Option<Value> {
    let effort = reasoning.effort_word();
    let summary = reasoning.visible.filter(|shown| *shown).map(|_| "auto");
    (effort.is_some() || summary.is_some()).then(|| json!({ "effort": effort, "summary": summary }))
}
