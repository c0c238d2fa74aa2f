//! Requests as a caller of each front would write them.

use backstop_llm::Dialect;
use serde_json::{Map, Value, json};

use crate::ask::{Ask, Format, Piece, Side};

/// The path of a front.
pub(crate) const fn path(front: Dialect) -> &'static str {
    match front {
        Dialect::Anthropic => "/v1/messages",
        Dialect::Responses => "/v1/responses",
        _ => "/v1/chat/completions",
    }
}

/// What of it this front has words for.
pub(crate) fn sayable(mut ask: Ask, front: Dialect) -> Ask {
    match front {
        Dialect::Anthropic => {
            ask.max_tokens.get_or_insert(1000);
            if ask.format == Some(Format::Json) {
                ask.format = None;
            }
        }
        Dialect::Responses => ask.stop.clear(),
        _ => {}
    }
    ask
}

/// The request for the model `smart`.
pub(crate) fn write(ask: &Ask, front: Dialect) -> Value {
    let mut body = match front {
        Dialect::Anthropic => anthropic(ask),
        Dialect::Responses => responses(ask),
        _ => openai(ask),
    };
    body["model"] = "smart".into();
    body["temperature"] = json!(ask.temperature);
    body["top_p"] = json!(ask.top_p);
    body["stream"] = ask.streamed.into();
    let said = |(_, value): &(String, Value)| !value.is_null() && *value != json!([]);
    let Value::Object(fields) = body else {
        unreachable!("a request is an object");
    };
    Value::Object(fields.into_iter().filter(said).collect::<Map<_, _>>())
}

fn system(ask: &Ask) -> Option<String> {
    (!ask.system.is_empty()).then(|| ask.system.join(" "))
}

/// A tool's failure as it is told where there is no word for it.
fn told(text: &str, failed: bool) -> String {
    format!("{}{text}", if failed { "Error: " } else { "" })
}

fn openai(ask: &Ask) -> Value {
    let mut messages = Vec::new();
    messages.extend(system(ask).map(|text| json!({ "role": "system", "content": text })));
    for (side, piece) in &ask.said {
        let role = match side {
            Side::Caller => "user",
            Side::Model => "assistant",
        };
        let part = match piece {
            Piece::Text(text) if *side == Side::Model => json!(text),
            Piece::Text(text) => json!([{ "type": "text", "text": text }]),
            Piece::Image(url) => json!([{ "type": "image_url", "image_url": { "url": url } }]),
            Piece::File(data) => {
                json!([{ "type": "file", "file": { "file_data": data, "filename": "a.pdf" } }])
            }
            Piece::Result(id, text, failed) => {
                messages.push(json!({
                    "role": "tool", "tool_call_id": id, "content": told(text, *failed),
                }));
                continue;
            }
            Piece::Call(id, name, arguments) => {
                messages.push(json!({
                    "role": "assistant", "content": null, "tool_calls": [{
                        "id": id, "type": "function",
                        "function": { "name": name, "arguments": arguments.to_string() },
                    }],
                }));
                continue;
            }
        };
        messages.push(json!({ "role": role, "content": part }));
    }
    let tools: Vec<_> = ask
        .tools
        .iter()
        .map(|(name, description, schema)| {
            let function =
                json!({ "name": name, "description": description, "parameters": schema });
            json!({ "type": "function", "function": function })
        })
        .collect();
    json!({
        "messages": messages,
        "tools": tools,
        "tool_choice": choice(ask, |name| json!({
            "type": "function", "function": { "name": name },
        })),
        "response_format": match &ask.format {
            Some(Format::Json) => json!({ "type": "json_object" }),
            Some(Format::Schema(schema)) => json!({
                "type": "json_schema", "json_schema": { "name": "x", "schema": schema },
            }),
            None => Value::Null,
        },
        "max_completion_tokens": ask.max_tokens,
        "stop": ask.stop,
        "stream_options": if ask.streamed { json!({ "include_usage": true }) } else { Value::Null },
    })
}

fn choice(ask: &Ask, named: impl Fn(&str) -> Value) -> Value {
    match ask.choice.as_deref() {
        None => Value::Null,
        Some(word @ ("none" | "required")) => word.into(),
        Some(name) => named(name),
    }
}

fn anthropic(ask: &Ask) -> Value {
    let mut messages: Vec<(Side, Vec<Value>)> = Vec::new();
    for (side, piece) in &ask.said {
        let block = match piece {
            Piece::Text(text) => json!({ "type": "text", "text": text }),
            Piece::Image(url) => json!({ "type": "image", "source": source(url) }),
            Piece::File(url) => json!({ "type": "document", "source": source(url) }),
            Piece::Result(id, text, failed) => json!({
                "type": "tool_result", "tool_use_id": id, "content": text, "is_error": failed,
            }),
            Piece::Call(id, name, input) => {
                json!({ "type": "tool_use", "id": id, "name": name, "input": input })
            }
        };
        match messages.last_mut() {
            Some((of, blocks)) if of == side => blocks.push(block),
            _ => messages.push((*side, vec![block])),
        }
    }
    let turn = |(side, blocks): (Side, Vec<Value>)| {
        let role = match side {
            Side::Caller => "user",
            Side::Model => "assistant",
        };
        json!({ "role": role, "content": blocks })
    };
    let messages: Vec<_> = messages.into_iter().map(turn).collect();
    let tools: Vec<_> = ask
        .tools
        .iter()
        .map(|(name, description, schema)| {
            json!({ "name": name, "description": description, "input_schema": schema })
        })
        .collect();
    json!({
        "max_tokens": ask.max_tokens,
        "system": system(ask),
        "messages": messages,
        "tools": tools,
        "tool_choice": match choice(ask, |name| json!({ "type": "tool", "name": name })) {
            Value::String(word) if word == "required" => json!({ "type": "any" }),
            Value::String(word) => json!({ "type": word }),
            other => other,
        },
        "output_config": match &ask.format {
            Some(Format::Schema(schema)) => {
                json!({ "format": { "type": "json_schema", "schema": schema } })
            }
            _ => Value::Null,
        },
        "stop_sequences": ask.stop,
    })
}

fn source(url: &str) -> Value {
    let inline = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((kind, data)) => json!({ "type": "base64", "media_type": kind, "data": data }),
        None => json!({ "type": "url", "url": url }),
    }
}

fn responses(ask: &Ask) -> Value {
    let item = |(side, piece): &(Side, Piece)| {
        let (role, kind) = match side {
            Side::Caller => ("user", "input_text"),
            Side::Model => ("assistant", "output_text"),
        };
        let part = match piece {
            Piece::Text(text) => json!({ "type": kind, "text": text }),
            Piece::Image(url) => {
                json!({ "type": "input_image", "image_url": url, "detail": "auto" })
            }
            Piece::File(data) => {
                json!({ "type": "input_file", "file_data": data, "filename": "a.pdf" })
            }
            Piece::Result(id, text, failed) => {
                return json!({
                    "type": "function_call_output", "call_id": id, "output": told(text, *failed),
                });
            }
            Piece::Call(id, name, arguments) => {
                return json!({
                    "type": "function_call", "call_id": id, "name": name,
                    "arguments": arguments.to_string(),
                });
            }
        };
        json!({ "type": "message", "role": role, "content": [part] })
    };
    let tools: Vec<_> = ask
        .tools
        .iter()
        .map(|(name, description, schema)| {
            json!({
                "type": "function", "name": name, "description": description,
                "parameters": schema, "strict": false,
            })
        })
        .collect();
    json!({
        "instructions": system(ask),
        "input": ask.said.iter().map(item).collect::<Vec<_>>(),
        "tools": tools,
        "tool_choice": choice(ask, |name| json!({ "type": "function", "name": name })),
        "text": match &ask.format {
            Some(Format::Json) => json!({ "format": { "type": "json_object" } }),
            Some(Format::Schema(schema)) => json!({
                "format": { "type": "json_schema", "name": "x", "schema": schema },
            }),
            None => Value::Null,
        },
        "max_output_tokens": ask.max_tokens,
    })
}
