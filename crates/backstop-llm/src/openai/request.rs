//! Requests, read from a caller.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{message::WireMessage, plain::PlainMessage};
use crate::{
    Chat, ChatRequest, Dialect, Error, Function, Json, Message, Reasoning, ResponseFormat,
    Sampling, Tool, ToolChoice, read::Fields, wire_text::TextOr, wrong,
};

#[derive(Deserialize, Serialize)]
pub(super) struct WireFunction {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parameters: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireSchema {
    name: Option<String>,
    description: Option<String>,
    schema: Option<Json>,
    strict: Option<bool>,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

pub(super) fn parse(body: Bytes) -> Result<ChatRequest, Error> {
    let plain =
        Fields::parse_reading(Dialect::OpenAi, &body, "messages").and_then(|(fields, messages)| {
            let messages = Vec::into_iter(messages).map(PlainMessage::into_message);
            Some((fields, messages.collect::<Option<_>>()?))
        });
    match plain {
        Some((fields, messages)) => read(&body, fields, |_| Ok(messages)),
        None => parse_any(&body),
    }
}

/// Reads a request with messages of any form.
pub(super) fn parse_any(body: &Bytes) -> Result<ChatRequest, Error> {
    read(body, Fields::parse(Dialect::OpenAi, body)?, |fields| {
        let messages = fields.require::<Vec<WireMessage>>("messages")?;
        let messages = messages.into_iter().enumerate();
        let read = messages.map(|(at, message)| message.into_message(at));
        read.collect()
    })
}

/// Reads all fields, the messages by `messages`.
fn read(
    body: &Bytes,
    mut fields: Fields<'_>,
    messages: impl FnOnce(&mut Fields<'_>) -> Result<Vec<Message>, Error>,
) -> Result<ChatRequest, Error> {
    let model = fields.place("model");
    let mut chat = Chat {
        model: fields.require("model")?,
        messages: messages(&mut fields)?,
        ..Chat::default()
    };
    if chat.messages.is_empty() {
        return Err(Error::invalid("messages: at least one is needed").with_param("messages"));
    }
    let tools: Vec<Json> = fields.take("tools")?.unwrap_or_default();
    for (at, json) in tools.into_iter().enumerate() {
        chat.tools.push(read_tool(at, json)?);
    }
    for function in fields
        .take::<Vec<WireFunction>>("functions")?
        .unwrap_or_default()
    {
        chat.tools.push(Tool::Function(function.into()));
    }
    // Forms that are this dialect's alone go on to its providers as they are.
    let mut own = Vec::new();
    if let Some(json) = fields.take::<Json>("tool_choice")? {
        chat.tool_choice = read_tool_choice(&json)?;
        if chat.tool_choice.is_none() {
            own.push(("tool_choice".to_owned(), json));
        }
    }
    chat.parallel_tool_calls = fields.take("parallel_tool_calls")?;
    if let Some(json) = fields.take::<Json>("response_format")? {
        match read_format(&json)? {
            Some(format) => chat.format = format,
            None => own.push(("response_format".to_owned(), json)),
        }
    }
    chat.sampling = Sampling {
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        presence_penalty: fields.take("presence_penalty")?,
        frequency_penalty: fields.take("frequency_penalty")?,
        seed: fields.take("seed")?,
        n: fields.take("n")?,
        logprobs: fields.take("logprobs")?,
        top_logprobs: fields.take("top_logprobs")?,
    };
    let (new, old) = (
        fields.take("max_completion_tokens")?,
        fields.take("max_tokens")?,
    );
    chat.max_tokens = new.or(old);
    chat.stop = match fields.take::<TextOr<String>>("stop")? {
        Some(TextOr::Text(text)) => vec![text],
        Some(TextOr::Parts(texts)) => texts,
        None => Vec::new(),
    };
    chat.reasoning = fields.take("reasoning_effort")?.map(|effort| Reasoning {
        effort: Some(effort),
        ..Reasoning::default()
    });
    chat.user = fields.take("user")?;
    chat.stream = fields.take("stream")?.unwrap_or_default();
    chat.include_usage = fields
        .take::<StreamOptions>("stream_options")?
        .and_then(|options| options.include_usage)
        .unwrap_or_default();
    chat.continue_final_message = fields.take("continue_final_message")?.unwrap_or_default();
    fields.take::<bool>("add_generation_prompt")?;
    chat.extra = own;
    chat.extra.extend(fields.rest());
    chat.extra.retain(|(name, json)| !says_nothing(name, json));
    chat.extra_dialect = Some(Dialect::OpenAi);
    Ok(ChatRequest::parsed(chat, Dialect::OpenAi, body.clone()).naming_model_at(model))
}

/// Whether a field only repeats what is so anyway.
fn says_nothing(name: &str, json: &Json) -> bool {
    let usual = [
        ("logit_bias", "{}"),
        ("modalities", "[\"text\"]"),
        ("verbosity", "\"medium\""),
    ];
    json.is_null() || usual.contains(&(name, json.get()))
}

impl From<WireFunction> for Function {
    fn from(wire: WireFunction) -> Self {
        Self {
            name: wire.name,
            description: wire.description,
            schema: wire.parameters,
            strict: wire.strict,
        }
    }
}

fn read_tool(at: usize, json: Json) -> Result<Tool, Error> {
    #[derive(Deserialize)]
    struct WireTool {
        #[serde(default)]
        function: Option<WireFunction>,
    }
    let wire: WireTool = wrong::read(Dialect::OpenAi, format_args!("tools[{at}]"), json.get())?;
    Ok(match wire.function {
        Some(function) => Tool::Function(function.into()),
        None => Tool::Native {
            dialect: Dialect::OpenAi,
            json,
        },
    })
}

/// Reads a choice; none where it is of a form that only this dialect has.
fn read_tool_choice(json: &Json) -> Result<Option<ToolChoice>, Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wire {
        Word(String),
        Named {
            function: Named,
        },
        Other {
            #[serde(rename = "type")]
            _kind: String,
        },
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let unknown = || Error::invalid("tool_choice: unknown value").with_param("tool_choice");
    match json.read() {
        Ok(Wire::Named { function }) => Ok(Some(ToolChoice::Named(function.name))),
        Ok(Wire::Other { .. }) => Ok(None),
        Ok(Wire::Word(word)) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(unknown()),
        },
        Err(_) => Err(unknown()),
    }
}

/// Reads a form; none where only some servers of this dialect know it.
fn read_format(json: &Json) -> Result<Option<ResponseFormat>, Error> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        json_schema: Option<WireSchema>,
    }
    let wire: Wire = wrong::read(Dialect::OpenAi, "response_format", json.get())?;
    Ok(Some(match (wire.kind.as_str(), wire.json_schema) {
        ("text", _) => ResponseFormat::Text,
        ("json_schema", Some(schema)) => ResponseFormat::Schema {
            name: schema.name,
            description: schema.description,
            schema: schema.schema.unwrap_or_else(Json::null),
            strict: schema.strict,
        },
        ("json_object", _) => ResponseFormat::Json,
        ("json_schema", None) => {
            let message = "response_format: expected a json_schema";
            return Err(Error::invalid(message).with_param("response_format"));
        }
        _ => return Ok(None),
    }))
}
