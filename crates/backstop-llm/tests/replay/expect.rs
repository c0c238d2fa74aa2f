//! What a recording holds, read in the simplest way: as loose JSON, and streams line by line.

use backstop_core::FaultKind;
use serde_json::Value;

use crate::recording::Recording;

/// What a service should make of a recording, unless it is an error.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) text: String,
    pub(crate) thought: String,
    pub(crate) refusal: String,
    /// Name, id and arguments of each tool call.
    pub(crate) calls: Vec<(String, String, Value)>,
    /// The bytes of each picture, in base64.
    pub(crate) pictures: Vec<String>,
    /// The address of each source that was named.
    pub(crate) sources: Vec<String>,
    pub(crate) finish: String,
    /// Input, cached, output, thoughts.
    pub(crate) usage: Option<(u64, u64, u64, u64)>,
}

pub(crate) fn openai(recording: &Recording) -> Result<Answer, FaultKind> {
    if let Some(kind) = error_kind(recording) {
        return Err(kind);
    }
    if !recording.is_streamed() {
        let body: Value = serde_json::from_str(recording.body()).expect("JSON");
        if body.get("error").is_some_and(|e| !e.is_null()) {
            return Err(body_kind(recording.body(), FaultKind::Malformed));
        }
        let mut answer = openai_head(&body);
        let choice = &body["choices"][0];
        openai_message(&mut answer, &choice["message"]);
        if let Some(text) = choice["text"].as_str() {
            answer.text.push_str(text);
        }
        finish_openai(&mut answer, &choice["finish_reason"]);
        answer.usage = openai_usage(&body["usage"]);
        return Ok(answer);
    }
    let mut answer = Answer::default();
    let mut content = false;
    for data in datas(recording.body()) {
        let Ok(body) = serde_json::from_str::<Value>(&data) else {
            continue;
        };
        if body.get("error").is_some_and(|e| !e.is_null()) {
            let kind = body_kind(&data, FaultKind::Malformed);
            return Err(if content {
                FaultKind::Interrupted
            } else {
                kind
            });
        }
        if answer.id.is_empty() && answer.model.is_empty() {
            let head = openai_head(&body);
            (answer.id, answer.model) = (head.id, head.model);
        }
        for choice in body["choices"].as_array().into_iter().flatten() {
            if choice["index"].as_u64().unwrap_or(0) != 0 {
                continue;
            }
            openai_message(&mut answer, &choice["delta"]);
            if let Some(text) = choice["text"].as_str() {
                answer.text.push_str(text);
            }
            if choice["finish_reason"].is_string() {
                finish_openai(&mut answer, &choice["finish_reason"]);
            }
        }
        content |=
            !answer.text.is_empty() || !answer.thought.is_empty() || !answer.calls.is_empty();
        for usage in [&body["x_groq"]["usage"], &body["usage"]] {
            answer.usage = openai_usage(usage).or(answer.usage);
        }
    }
    if answer.finish.is_empty() {
        return Err(if content {
            FaultKind::Interrupted
        } else {
            FaultKind::Malformed
        });
    }
    for call in &mut answer.calls {
        call.2 = arguments(&call.2);
    }
    Ok(answer)
}

fn openai_head(body: &Value) -> Answer {
    Answer {
        id: text(&body["id"]),
        model: text(&body["model"]),
        ..Answer::default()
    }
}

fn openai_message(answer: &mut Answer, message: &Value) {
    match &message["content"] {
        Value::String(content) => answer.text.push_str(content),
        Value::Array(parts) => {
            for part in parts {
                answer.text.push_str(&text(&part["text"]));
                for thought in part["thinking"].as_array().into_iter().flatten() {
                    answer.thought.push_str(&text(&thought["text"]));
                }
            }
        }
        _ => {}
    }
    let thought = ["reasoning_content", "reasoning"]
        .iter()
        .find_map(|name| message[*name].as_str());
    answer.thought.push_str(thought.unwrap_or_default());
    answer.refusal.push_str(&text(&message["refusal"]));
    for image in message["images"].as_array().into_iter().flatten() {
        let url = text(&image["image_url"]["url"]);
        let data = url.split_once("base64,").map(|(_, data)| data.to_owned());
        answer.pictures.extend(data);
    }
    let notes = message["annotations"].as_array().into_iter().flatten();
    let notes = notes.map(|note| &note["url_citation"]["url"]);
    answer
        .sources
        .extend(notes.filter_map(Value::as_str).map(str::to_owned));
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let piece = function["arguments"].as_str().unwrap_or_default();
        match answer.calls.last_mut() {
            // A piece without a name goes on with the last call.
            Some(last) if text(&function["name"]).is_empty() => {
                last.2 = Value::String(format!("{}{piece}", text(&last.2)));
            }
            _ => {
                let name = text(&function["name"]);
                let id = text(&call["id"]);
                answer
                    .calls
                    .push((name, id, Value::String(piece.to_owned())));
            }
        }
    }
    if let Some(call) = message.get("function_call").filter(|call| call.is_object()) {
        let piece = text(&call["arguments"]);
        match answer.calls.last_mut() {
            Some(last) => last.2 = Value::String(format!("{}{piece}", text(&last.2))),
            None => {
                let name = text(&call["name"]);
                answer
                    .calls
                    .push((name, String::new(), Value::String(piece)));
            }
        }
    }
}

fn finish_openai(answer: &mut Answer, reason: &Value) {
    let reason = text(reason);
    answer.finish = match reason.as_str() {
        "function_call" => "tool_calls".to_owned(),
        "stop" if !answer.calls.is_empty() => "tool_calls".to_owned(),
        "eos" => "stop".to_owned(),
        _ => reason,
    };
    for call in &mut answer.calls {
        call.2 = arguments(&call.2);
    }
}

fn openai_usage(usage: &Value) -> Option<(u64, u64, u64, u64)> {
    let usage = usage.as_object()?;
    let n = |value: &Value| value.as_u64().unwrap_or(0);
    let get = |name: &str| usage.get(name).map_or(0, n);
    let details = |group: &str, name: &str| usage.get(group).map_or(0, |group| n(&group[name]));
    let thoughts =
        details("completion_tokens_details", "reasoning_tokens").max(get("reasoning_tokens"));
    let (input, mut output) = (get("prompt_tokens"), get("completion_tokens"));
    if thoughts > 0 && get("total_tokens") == input + output + thoughts {
        output += thoughts;
    }
    let cached = details("prompt_tokens_details", "cached_tokens");
    let cached = cached.max(get("prompt_cache_hit_tokens")).min(input);
    Some((input, cached, output, thoughts))
}

pub(crate) fn anthropic(recording: &Recording) -> Result<Answer, FaultKind> {
    if let Some(kind) = error_kind(recording) {
        return Err(kind);
    }
    let mut answer = Answer::default();
    let mut usage = Value::Null;
    if !recording.is_streamed() {
        let body: Value = serde_json::from_str(recording.body()).expect("JSON");
        answer.id = text(&body["id"]);
        answer.model = text(&body["model"]);
        for block in body["content"].as_array().into_iter().flatten() {
            anthropic_block(&mut answer, block);
        }
        finish_anthropic(&mut answer, &body["stop_reason"]);
        answer.usage = Some(anthropic_usage(&body["usage"]));
        return Ok(answer);
    }
    let mut inputs: Vec<(u64, String)> = Vec::new();
    let mut content = false;
    for data in datas(recording.body()) {
        let Ok(body) = serde_json::from_str::<Value>(&data) else {
            continue;
        };
        let merge = |usage: &mut Value, new: &Value| match (usage.as_object_mut(), new.as_object())
        {
            (Some(old), Some(new)) => old.extend(new.clone()),
            (None, Some(_)) => *usage = new.clone(),
            _ => {}
        };
        match body["type"].as_str().unwrap_or_default() {
            "message_start" => {
                answer.id = text(&body["message"]["id"]);
                answer.model = text(&body["message"]["model"]);
                merge(&mut usage, &body["message"]["usage"]);
            }
            "content_block_start" => {
                let block = &body["content_block"];
                anthropic_block(&mut answer, block);
                if block["type"] == "tool_use" {
                    inputs.push((body["index"].as_u64().unwrap_or(0), String::new()));
                }
            }
            "content_block_delta" => {
                let delta = &body["delta"];
                answer.text.push_str(&text(&delta["text"]));
                answer.thought.push_str(&text(&delta["thinking"]));
                answer
                    .sources
                    .extend(delta["citation"]["url"].as_str().map(str::to_owned));
                let block = body["index"].as_u64().unwrap_or(0);
                if let Some(input) = inputs.iter_mut().find(|(of, _)| *of == block) {
                    input.1.push_str(&text(&delta["partial_json"]));
                }
            }
            "message_delta" => {
                merge(&mut usage, &body["usage"]);
                finish_anthropic(&mut answer, &body["delta"]["stop_reason"]);
            }
            "error" => {
                let kind = body_kind(&data, FaultKind::Malformed);
                return Err(if content {
                    FaultKind::Interrupted
                } else {
                    kind
                });
            }
            _ => {}
        }
        content |=
            !answer.text.is_empty() || !answer.thought.is_empty() || !answer.calls.is_empty();
    }
    for (call, (_, input)) in answer.calls.iter_mut().zip(&inputs) {
        if !input.is_empty() {
            call.2 = arguments(&Value::String(input.clone()));
        }
    }
    if answer.finish.is_empty() {
        return Err(FaultKind::Interrupted);
    }
    answer.usage = Some(anthropic_usage(&usage));
    Ok(answer)
}

fn anthropic_block(answer: &mut Answer, block: &Value) {
    match block["type"].as_str().unwrap_or_default() {
        "text" => {
            answer.text.push_str(&text(&block["text"]));
            let cited = block["citations"].as_array().into_iter().flatten();
            let cited = cited.filter_map(|it| it["url"].as_str());
            answer.sources.extend(cited.map(str::to_owned));
        }
        "image" => answer.pictures.push(text(&block["source"]["data"])),
        "thinking" => answer.thought.push_str(&text(&block["thinking"])),
        "tool_use" => answer.calls.push((
            text(&block["name"]),
            text(&block["id"]),
            block["input"].clone(),
        )),
        _ => {}
    }
}

fn finish_anthropic(answer: &mut Answer, reason: &Value) {
    answer.finish = match text(reason).as_str() {
        "end_turn" | "stop_sequence" => "stop",
        "max_tokens" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        "pause_turn" => "pause",
        other => other,
    }
    .to_owned();
}

fn anthropic_usage(usage: &Value) -> (u64, u64, u64, u64) {
    let n = |value: &Value| value.as_u64().unwrap_or(0);
    let cached = n(&usage["cache_read_input_tokens"]);
    let input = n(&usage["input_tokens"]) + n(&usage["cache_creation_input_tokens"]) + cached;
    let thoughts = n(&usage["output_tokens_details"]["thinking_tokens"]);
    (input, cached, n(&usage["output_tokens"]), thoughts)
}

/// What kind of failure an error status is, by the table of kinds.
pub(crate) fn error_kind(recording: &Recording) -> Option<FaultKind> {
    let kind = match recording.response.status {
        200..300 => return None,
        401 | 403 => FaultKind::Denied,
        402 => FaultKind::QuotaExhausted,
        404 => FaultKind::Missing,
        408 => FaultKind::TimedOut,
        413 => FaultKind::TooLarge,
        429 => FaultKind::RateLimited,
        500 | 502 | 503 | 504 => FaultKind::Unavailable,
        529 => FaultKind::Overloaded,
        _ => FaultKind::Invalid,
    };
    Some(match kind {
        FaultKind::Invalid | FaultKind::RateLimited | FaultKind::Unavailable => {
            body_kind(recording.body(), kind)
        }
        kind => kind,
    })
}

/// What the words of an error say beyond its status.
pub(crate) fn body_kind(body: &str, otherwise: FaultKind) -> FaultKind {
    let says = |words: &[&str]| words.iter().any(|word| body.contains(word));
    if says(&["insufficient_quota", "credit balance is too low"]) {
        FaultKind::QuotaExhausted
    } else if says(&[
        "context_length_exceeded",
        "exceed_context_size_error",
        "maximum context length",
        "prompt is too long",
        "max_model_len",
        "too many total text bytes",
    ]) {
        FaultKind::TooLarge
    } else if says(&["content_filter\"", "ResponsibleAIPolicyViolation"]) {
        FaultKind::Filtered
    } else if says(&["is not a valid model", "model_not_found", "not_found_error"]) {
        FaultKind::Missing
    } else if says(&["Incorrect API key"]) {
        FaultKind::Denied
    } else if says(&["overloaded_error", "at capacity"]) {
        FaultKind::Overloaded
    } else if says(&["rate_limit_error"]) {
        FaultKind::RateLimited
    } else if says(&["api_error", "InternalServerError"]) && otherwise == FaultKind::Malformed {
        FaultKind::Unavailable
    } else {
        otherwise
    }
}

/// The data of every event of a stream.
pub(crate) fn datas(body: &str) -> impl Iterator<Item = String> + '_ {
    body.lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.trim().to_owned())
        .filter(|data| data != "[DONE]")
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Arguments as JSON, so that spaces don't matter; what is no JSON as text.
pub(crate) fn arguments(value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => serde_json::json!({}),
        Value::String(text) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
        }
        other => other.clone(),
    }
}
