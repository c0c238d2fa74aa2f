//! Requests: read from a caller, written to a provider.

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::item::{WireItem, write_items};
use crate::{
    Chat, ChatRequest, Dialect, Error, Function, Json, Message, Reasoning, ReasoningMode,
    ResponseFormat, Role, Sampling, Tool, ToolChoice, dialect::Encoded, object::Object, plan::Plan,
    read::Fields, wire_text::TextOr, wrong,
};

// ===== from a caller =====

pub(super) fn parse(body: Bytes) -> Result<ChatRequest, Error> {
    let mut fields = Fields::parse(Dialect::Responses, &body)?;
    let mut chat = Chat {
        model: fields.require("model")?,
        ..Chat::default()
    };
    if let Some(text) = fields
        .take::<String>("instructions")?
        .filter(|text| !text.is_empty())
    {
        chat.messages.push(Message::text(Role::System, text));
    }
    match fields.require::<TextOr<Json>>("input")? {
        TextOr::Text(text) => chat.messages.push(Message::text(Role::User, text)),
        TextOr::Parts(items) => read_items(items, &mut chat.messages)?,
    }
    let tools: Vec<Json> = fields.take("tools")?.unwrap_or_default();
    for (at, json) in tools.into_iter().enumerate() {
        chat.tools.push(read_tool(at, json)?);
    }
    let mut extra = Vec::new();
    if let Some(json) = fields.take::<Json>("tool_choice")? {
        match read_choice(&json) {
            Some(choice) => chat.tool_choice = Some(choice),
            None => extra.push(("tool_choice".to_owned(), json)),
        }
    }
    chat.parallel_tool_calls = fields.take("parallel_tool_calls")?;
    if let Some(text) = fields.take::<WireText>("text")? {
        chat.format = text.format.map_or(Ok(ResponseFormat::Text), read_format)?;
        let verbosity = text.verbosity.filter(|word| word != "medium");
        extra.extend(verbosity.map(|word| ("verbosity".to_owned(), Json::of(&word))));
    }
    chat.sampling = Sampling {
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_logprobs: fields.take::<u64>("top_logprobs")?.filter(|n| *n > 0),
        ..Sampling::default()
    };
    chat.sampling.logprobs = chat.sampling.top_logprobs.map(|_| true);
    chat.max_tokens = fields.take("max_output_tokens")?;
    chat.reasoning = fields
        .take::<WireReasoning>("reasoning")?
        .map(Reasoning::from);
    chat.user = fields.take("user")?;
    chat.stream = fields.take("stream")?.unwrap_or_default();
    chat.include_usage = true;
    extra.extend(
        fields
            .rest()
            .into_iter()
            .filter(|(name, json)| !says_nothing(name, json)),
    );
    // What was said before may also be kept by the provider, or stand in a prompt of its own.
    let elsewhere = ["conversation", "previous_response_id", "prompt"];
    let asks = chat.messages.iter().any(|it| it.role != Role::System)
        || extra
            .iter()
            .any(|(name, _)| elsewhere.contains(&name.as_str()));
    if !asks {
        return Err(Error::invalid("input: at least one item is needed").with_param("input"));
    }
    chat.extra = extra;
    chat.extra_dialect = Some(Dialect::Responses);
    Ok(ChatRequest::parsed(chat, Dialect::Responses, body))
}

/// Whether a field only repeats what is so anyway.
fn says_nothing(name: &str, json: &Json) -> bool {
    let usual = [("background", "false"), ("truncation", "\"disabled\"")];
    json.is_null() || usual.contains(&(name, json.get()))
}

/// Reads items, those that the model made one after the other as one message.
fn read_items(items: Vec<Json>, messages: &mut Vec<Message>) -> Result<(), Error> {
    for (at, json) in items.into_iter().enumerate() {
        let item: WireItem =
            wrong::read(Dialect::Responses, format_args!("input[{at}]"), json.get())?;
        let message = item.into_message(&json)?;
        match messages.last_mut() {
            Some(last) if last.role == Role::Assistant && message.role == Role::Assistant => {
                last.content.extend(message.content);
            }
            _ => messages.push(message),
        }
    }
    Ok(())
}

fn read_tool(at: usize, json: Json) -> Result<Tool, Error> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        description: Option<String>,
        #[serde(default)]
        parameters: Option<Json>,
        #[serde(default)]
        strict: Option<bool>,
    }
    let wire: Wire = wrong::read(Dialect::Responses, format_args!("tools[{at}]"), json.get())?;
    Ok(match (wire.kind.as_str(), wire.name) {
        ("function", Some(name)) => Tool::Function(Function {
            name,
            description: wire.description,
            schema: wire.parameters.filter(|schema| !schema.is_null()),
            strict: wire.strict,
        }),
        _ => Tool::Native {
            dialect: Dialect::Responses,
            json,
        },
    })
}

fn read_choice(json: &Json) -> Option<ToolChoice> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wire {
        Word(String),
        Named {
            #[serde(rename = "type")]
            kind: String,
            name: String,
        },
    }
    match json.read().ok()? {
        Wire::Named { kind, name } if kind == "function" => Some(ToolChoice::Named(name)),
        Wire::Named { .. } => None,
        Wire::Word(word) => match word.as_str() {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" => Some(ToolChoice::Required),
            _ => None,
        },
    }
}

#[derive(Deserialize)]
struct WireText {
    #[serde(default)]
    format: Option<WireFormat>,
    #[serde(default)]
    verbosity: Option<String>,
}

#[derive(Deserialize)]
struct WireFormat {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    schema: Option<Json>,
    #[serde(default)]
    strict: Option<bool>,
}

fn read_format(wire: WireFormat) -> Result<ResponseFormat, Error> {
    Ok(match (wire.kind.as_str(), wire.schema) {
        ("text", _) => ResponseFormat::Text,
        ("json_object", _) => ResponseFormat::Json,
        ("json_schema", Some(schema)) => ResponseFormat::Schema {
            name: wire.name,
            description: wire.description,
            schema,
            strict: wire.strict,
        },
        _ => {
            let message = "text.format: expected text, json_object or json_schema with a schema";
            return Err(Error::invalid(message).with_param("text.format"));
        }
    })
}

#[derive(Default, Deserialize)]
struct WireReasoning {
    #[serde(default)]
    effort: Option<String>,
    #[serde(default)]
    summary: Option<String>,
}

impl From<WireReasoning> for Reasoning {
    fn from(wire: WireReasoning) -> Self {
        Self {
            effort: wire.effort,
            visible: wire.summary.map(|_| true),
            ..Self::default()
        }
    }
}

// ===== to a provider =====

pub(super) fn encode(request: &ChatRequest, plan: &Plan) -> Result<Encoded, Error> {
    let body = match request.original() {
        Some(original) if original.dialect == Dialect::Responses && plan.keeps_original() => {
            patch(&original.body, plan)?
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
fn patch(body: &[u8], plan: &Plan) -> Result<Vec<u8>, Error> {
    let mut object = Object::parse(body)
        .map_err(|error| Error::invalid(format!("the body is not JSON: {error}")))?;
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
            items.retain(|json| !is_system(json));
        }
        items.extend(plan.append.iter().flat_map(write_items));
        object.set("input", &items);
    }
    Ok(object.to_vec())
}

fn is_system(json: &Json) -> bool {
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        role: String,
    }
    json.read::<Item>()
        .is_ok_and(|item| item.role == "system" || item.role == "developer")
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: Vec<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include: Option<[&'static str; 1]>,
}

/// The request written anew. Unless the caller says otherwise nothing is to be stored: the
/// conversation comes whole each time, and with it what the model has thought, sealed.
fn translate(chat: &Chat) -> Vec<u8> {
    let own = chat.extra_for(Dialect::Responses);
    let says = |field: &str| own.iter().find(|(name, _)| name == field);
    let verbosity = chat.verbosity(Dialect::Responses);
    let wire = WireRequest {
        model: &chat.model,
        input: chat.messages.iter().flat_map(write_items).collect(),
        tools: chat.tools.iter().filter_map(write_tool).collect(),
        tool_choice: chat.tool_choice.as_ref().map(write_choice),
        parallel_tool_calls: chat.parallel_tool_calls.filter(|_| !chat.tools.is_empty()),
        text: write_text(&chat.format, verbosity),
        temperature: chat.sampling.temperature,
        top_p: chat.sampling.top_p,
        top_logprobs: chat.sampling.top_logprobs,
        max_output_tokens: chat.max_tokens,
        reasoning: chat.reasoning.as_ref().and_then(write_reasoning),
        user: chat.user.as_deref(),
        stream: chat.stream,
        store: says("store").is_none().then_some(false),
        include: (chat.reasoning.is_some() && says("include").is_none())
            .then_some(["reasoning.encrypted_content"]),
    };
    let mut body = serde_json::to_vec(&wire).unwrap_or_default();
    let fields = own.iter().filter(|(name, _)| name != "verbosity");
    crate::json_write::add_fields(&mut body, fields);
    body
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

fn write_choice(choice: &ToolChoice) -> Json {
    match choice {
        ToolChoice::Auto => Json::of("auto"),
        ToolChoice::None => Json::of("none"),
        ToolChoice::Required => Json::of("required"),
        ToolChoice::Named(name) => Json::of(&json!({ "type": "function", "name": name })),
    }
}

fn write_text(format: &ResponseFormat, verbosity: Option<&Json>) -> Option<Json> {
    #[derive(Serialize)]
    struct Text<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        verbosity: Option<&'a Json>,
    }
    let format = write_format(format);
    (format.is_some() || verbosity.is_some()).then(|| Json::of(&Text { format, verbosity }))
}

fn write_format(format: &ResponseFormat) -> Option<Json> {
    #[derive(Serialize)]
    struct Schema<'a> {
        r#type: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    }
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::Json => Some(Json::of(&json!({ "type": "json_object" }))),
        ResponseFormat::Schema {
            name,
            description,
            schema,
            strict,
        } => Some(Json::of(&Schema {
            r#type: "json_schema",
            name: name.as_deref().unwrap_or("answer"),
            description: description.as_deref(),
            schema,
            strict: *strict,
        })),
    }
}

fn write_reasoning(reasoning: &Reasoning) -> Option<Json> {
    let effort = match (&reasoning.effort, reasoning.mode, reasoning.budget) {
        (_, Some(ReasoningMode::Disabled), _) => Some("none"),
        (Some(effort), ..) => Some(effort.as_str()),
        (None, _, Some(0..=2048)) => Some("low"),
        (None, _, Some(2049..=8192)) => Some("medium"),
        (None, _, Some(_)) => Some("high"),
        (None, _, None) => None,
    };
    let summary = reasoning.visible.filter(|shown| *shown).map(|_| "auto");
    (effort.is_some() || summary.is_some())
        .then(|| Json::of(&json!({ "effort": effort, "summary": summary })))
}
