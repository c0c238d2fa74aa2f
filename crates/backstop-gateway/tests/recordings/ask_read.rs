//! Requests on the wire, read in the simplest way. Each reader says what it finds and can't tell in
//! other dialects.

use backstop_llm::Dialect;
use serde_json::{Value, json};

use crate::{
    ask::{Ask, Format, Piece, Side},
    expect::{arguments, text},
};

/// What is asked, or what of it only its own dialect has words for.
pub(crate) fn read(dialect: Dialect, body: &str) -> Result<Ask, String> {
    let body: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let ask = match dialect {
        Dialect::Anthropic => anthropic(&body),
        Dialect::Gemini => gemini(&body),
        Dialect::Responses => responses(&body),
        _ => openai(&body),
    };
    ask.map(Ask::settled)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn unknown<T>(what: &str, value: &Value) -> Result<T, String> {
    let kind = if value["type"].is_string() {
        text(&value["type"])
    } else {
        let keys = value.as_object().map(|object| object.keys().cloned());
        keys.into_iter().flatten().collect::<Vec<_>>().join("+")
    };
    Err(format!("{what} {kind}"))
}

/// What tells how an answer is made, under the names that most dialects have for it.
fn sampling(ask: &mut Ask, body: &Value) {
    ask.temperature = body["temperature"].as_f64();
    ask.top_p = body["top_p"].as_f64();
    ask.streamed = body["stream"] == true;
}

/// A text, or the texts of a list of parts.
fn texts(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        parts => list(parts).map(|part| text(&part["text"])).collect(),
    }
}

/// Whether a tool's text says that it failed, where the dialect has no other way to say it.
fn result(id: &Value, content: &Value) -> Piece {
    let said = texts(content);
    match said.strip_prefix("Error: ") {
        Some(said) => Piece::Result(text(id), said.to_owned(), true),
        None => Piece::Result(text(id), said, false),
    }
}

fn openai(body: &Value) -> Result<Ask, String> {
    let mut ask = Ask::default();
    for message in list(&body["messages"]) {
        let content = &message["content"];
        let side = match message["role"].as_str().unwrap_or_default() {
            "system" | "developer" => {
                ask.system(&texts(content));
                continue;
            }
            "tool" => {
                ask.say(Side::Caller, result(&message["tool_call_id"], content));
                continue;
            }
            "assistant" => Side::Model,
            "user" => Side::Caller,
            other => return Err(format!("role {other}")),
        };
        if let Some(said) = content.as_str() {
            ask.say(side, Piece::Text(said.to_owned()));
        }
        for part in list(content) {
            let piece = match part["type"].as_str().unwrap_or_default() {
                "text" => Piece::Text(text(&part["text"])),
                "image_url" => Piece::Image(text(&part["image_url"]["url"])),
                "file" if part["file"]["file_data"].is_string() => {
                    Piece::File(text(&part["file"]["file_data"]))
                }
                _ => return unknown("part", part),
            };
            ask.say(side, piece);
        }
        for call in list(&message["tool_calls"]) {
            let function = &call["function"];
            let arguments = arguments(&function["arguments"]);
            let piece = Piece::Call(text(&call["id"]), text(&function["name"]), arguments);
            ask.say(side, piece);
        }
    }
    for tool in list(&body["tools"]) {
        if tool["type"] != "function" {
            return unknown("tool", tool);
        }
        ask.tools.push(declared(&tool["function"], "parameters"));
    }
    if body["functions"].is_array() {
        return Err("functions of the time before tools".to_owned());
    }
    let choice = &body["tool_choice"];
    ask.choose(&match choice["type"].as_str() {
        None => text(choice),
        Some("function") => text(&choice["function"]["name"]),
        Some(_) => return unknown("choice of", choice),
    });
    let format = &body["response_format"];
    ask.format = match format["type"].as_str() {
        Some("json_object") => Some(Format::Json),
        Some("json_schema") => Some(Format::Schema(format["json_schema"]["schema"].clone())),
        _ => None,
    };
    sampling(&mut ask, body);
    let limits = [&body["max_completion_tokens"], &body["max_tokens"]];
    ask.max_tokens = limits.into_iter().find_map(Value::as_u64);
    ask.stop = match &body["stop"] {
        Value::String(one) => vec![one.clone()],
        many => list(many).map(text).collect(),
    };
    Ok(ask)
}

fn declared(tool: &Value, schema: &str) -> (String, String, Value) {
    let schema = tool[schema].clone();
    (text(&tool["name"]), text(&tool["description"]), schema)
}

fn anthropic(body: &Value) -> Result<Ask, String> {
    let mut ask = Ask::default();
    ask.system(&match &body["system"] {
        Value::String(text) => text.clone(),
        blocks => list(blocks).map(|b| text(&b["text"]) + " ").collect(),
    });
    for message in list(&body["messages"]) {
        let side = match message["role"].as_str().unwrap_or_default() {
            "assistant" => Side::Model,
            "user" => Side::Caller,
            other => return Err(format!("role {other}")),
        };
        if let Some(said) = message["content"].as_str() {
            ask.say(side, Piece::Text(said.to_owned()));
        }
        for block in list(&message["content"]) {
            let id = text(&block["id"]);
            let piece = match block["type"].as_str().unwrap_or_default() {
                "text" => Piece::Text(text(&block["text"])),
                "image" => Piece::Image(address(&block["source"])),
                "document" if block["source"]["type"] == "base64" => {
                    Piece::File(address(&block["source"]))
                }
                "tool_use" => Piece::Call(id, text(&block["name"]), block["input"].clone()),
                "tool_result" => Piece::Result(
                    text(&block["tool_use_id"]),
                    texts(&block["content"]),
                    block["is_error"] == true,
                ),
                // Only the provider that signed a thought takes it back.
                "thinking" | "redacted_thinking" => continue,
                _ => return unknown("block", block),
            };
            ask.say(side, piece);
        }
    }
    for tool in list(&body["tools"]) {
        if !matches!(tool["type"].as_str(), None | Some("custom")) {
            return unknown("tool", tool);
        }
        ask.tools.push(declared(tool, "input_schema"));
    }
    let choice = &body["tool_choice"];
    ask.choose(&text(match choice["type"].as_str() {
        Some("tool") => &choice["name"],
        _ => &choice["type"],
    }));
    let formats = [&body["output_config"]["format"], &body["output_format"]];
    let format = formats.into_iter().find(|format| format.is_object());
    ask.format = format.map(|format| Format::Schema(format["schema"].clone()));
    sampling(&mut ask, body);
    ask.max_tokens = body["max_tokens"].as_u64();
    ask.stop = list(&body["stop_sequences"]).map(text).collect();
    Ok(ask)
}

fn address(source: &Value) -> String {
    if source["type"] == "url" {
        return text(&source["url"]);
    }
    let (kind, data) = (text(&source["media_type"]), text(&source["data"]));
    format!("data:{kind};base64,{data}")
}

fn responses(body: &Value) -> Result<Ask, String> {
    let mut ask = Ask::default();
    ask.system(&text(&body["instructions"]));
    if let Some(said) = body["input"].as_str() {
        ask.say(Side::Caller, Piece::Text(said.to_owned()));
    }
    for item in list(&body["input"]) {
        match item["type"].as_str().unwrap_or("message") {
            "message" => responses_message(&mut ask, item)?,
            "function_call" => {
                let arguments = arguments(&item["arguments"]);
                let id = text(&item["call_id"]);
                ask.say(Side::Model, Piece::Call(id, text(&item["name"]), arguments));
            }
            "function_call_output" => {
                ask.say(Side::Caller, result(&item["call_id"], &item["output"]));
            }
            // Only the provider that sealed a thought takes it back.
            "reasoning" => {}
            _ => return unknown("item", item),
        }
    }
    for tool in list(&body["tools"]) {
        if tool["type"] != "function" {
            return unknown("tool", tool);
        }
        ask.tools.push(declared(tool, "parameters"));
    }
    let choice = &body["tool_choice"];
    ask.choose(&match choice["type"].as_str() {
        None => text(choice),
        Some("function") => text(&choice["name"]),
        Some(_) => return unknown("choice of", choice),
    });
    let format = &body["text"]["format"];
    ask.format = match format["type"].as_str() {
        Some("json_object") => Some(Format::Json),
        Some("json_schema") => Some(Format::Schema(format["schema"].clone())),
        _ => None,
    };
    sampling(&mut ask, body);
    ask.max_tokens = body["max_output_tokens"].as_u64();
    for stored in ["previous_response_id", "conversation", "background"] {
        if body[stored].is_string() || body[stored] == true {
            return Err(format!("what the provider keeps: {stored}"));
        }
    }
    Ok(ask)
}

fn responses_message(ask: &mut Ask, item: &Value) -> Result<(), String> {
    let content = &item["content"];
    let side = match item["role"].as_str().unwrap_or_default() {
        "assistant" => Side::Model,
        "user" => Side::Caller,
        "system" | "developer" => {
            ask.system(&texts(content));
            return Ok(());
        }
        other => return Err(format!("role {other}")),
    };
    if let Some(said) = content.as_str() {
        ask.say(side, Piece::Text(said.to_owned()));
    }
    for part in list(content) {
        let piece = match part["type"].as_str().unwrap_or_default() {
            "input_text" | "output_text" => Piece::Text(text(&part["text"])),
            "input_image" if part["image_url"].is_string() => {
                Piece::Image(text(&part["image_url"]))
            }
            "input_file" if part["file_data"].is_string() => Piece::File(text(&part["file_data"])),
            _ => return unknown("part", part),
        };
        ask.say(side, piece);
    }
    Ok(())
}

fn gemini(body: &Value) -> Result<Ask, String> {
    let mut ask = Ask::default();
    for part in list(&body["systemInstruction"]["parts"]) {
        ask.system(&text(&part["text"]));
    }
    // Older models give calls no ids, and pair results with them by their order.
    let (mut calls, mut results) = (0, 0);
    for content in list(&body["contents"]) {
        let side = match content["role"].as_str() {
            Some("model") => Side::Model,
            Some("user") | None => Side::Caller,
            Some(other) => return Err(format!("role {other}")),
        };
        for part in list(&content["parts"]) {
            if part["thought"] == true {
                continue;
            }
            let data = [&part["inlineData"], &part["inline_data"]];
            let data = data.into_iter().find(|data| data.is_object());
            let (call, result) = (&part["functionCall"], &part["functionResponse"]);
            let piece = if call.is_object() {
                calls += 1;
                let id = call["id"].as_str().map(str::to_owned);
                let id = id.unwrap_or_else(|| format!("call_{calls}"));
                let arguments = match &call["args"] {
                    Value::Null => json!({}),
                    given => given.clone(),
                };
                Piece::Call(id, text(&call["name"]), arguments)
            } else if result.is_object() {
                results += 1;
                let id = result["id"].as_str().map(str::to_owned);
                let id = id.unwrap_or_else(|| format!("call_{results}"));
                Piece::Result(id, gave(&result["response"]), false)
            } else if let Some(data) = data {
                let kinds = [&data["mimeType"], &data["mime_type"]];
                let kind = kinds
                    .into_iter()
                    .find_map(Value::as_str)
                    .unwrap_or_default();
                let address = format!("data:{kind};base64,{}", text(&data["data"]));
                if kind.starts_with("image/") {
                    Piece::Image(address)
                } else {
                    Piece::File(address)
                }
            } else if part["fileData"].is_object() {
                Piece::Image(text(&part["fileData"]["fileUri"]))
            } else if part["text"].is_string() {
                Piece::Text(text(&part["text"]))
            } else {
                return unknown("part", part);
            };
            ask.say(side, piece);
        }
    }
    for tool in list(&body["tools"]) {
        let Some(functions) = tool["functionDeclarations"].as_array() else {
            return unknown("tool", tool);
        };
        for function in functions {
            let of_google = function["parameters"].is_object();
            let schema = if of_google {
                "parameters"
            } else {
                "parametersJsonSchema"
            };
            ask.tools.push(declared(function, schema));
        }
    }
    let calling = &body["toolConfig"]["functionCallingConfig"];
    ask.choose(&match &calling["allowedFunctionNames"][0] {
        Value::String(name) => name.clone(),
        _ => text(&calling["mode"]).to_ascii_lowercase(),
    });
    generation(&mut ask, &body["generationConfig"])?;
    Ok(ask)
}

/// A tool's answer must be an object there: a text is wrapped in one.
fn gave(response: &Value) -> String {
    match response.as_object() {
        Some(object) if object.len() == 1 && response["result"].is_string() => {
            text(&response["result"])
        }
        _ => response.to_string(),
    }
}

fn generation(ask: &mut Ask, config: &Value) -> Result<(), String> {
    if config["responseModalities"].is_array() {
        return Err("answers in other forms than text".to_owned());
    }
    let schemas = ["responseJsonSchema", "responseSchema", "response_schema"];
    let schema = schemas.into_iter().find(|name| config[*name].is_object());
    let kinds = ["responseMimeType", "response_mime_type"];
    let json = kinds
        .into_iter()
        .any(|name| config[name] == "application/json");
    ask.format = match schema {
        Some(schema) => Some(Format::Schema(config[schema].clone())),
        None => json.then_some(Format::Json),
    };
    ask.temperature = config["temperature"].as_f64();
    ask.top_p = config["topP"].as_f64();
    ask.max_tokens = config["maxOutputTokens"].as_u64();
    ask.stop = list(&config["stopSequences"]).map(text).collect();
    Ok(())
}
