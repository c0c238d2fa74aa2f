//! Requests, read from a caller.

use bytes::Bytes;
use serde::Deserialize;

use super::item::WireItem;
use crate::{
    Chat, ChatRequest, Dialect, Error, Function, Json, Message, Reasoning, ResponseFormat, Role,
    Sampling, Tool, ToolChoice, read::Fields, wire_text::TextOr, wrong,
};

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
        let message = item.into_message(at, &json)?;
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
        name: Option<String>,
        description: Option<String>,
        parameters: Option<Json>,
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
    format: Option<WireFormat>,
    verbosity: Option<String>,
}

#[derive(Deserialize)]
struct WireFormat {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    description: Option<String>,
    schema: Option<Json>,
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
    effort: Option<String>,
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
