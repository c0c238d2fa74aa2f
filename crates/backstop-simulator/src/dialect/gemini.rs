//! Gemini's generateContent and streamGenerateContent.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::{Failure, Frames, Framing, Route, field, header_map, strings, text_field};
use crate::{
    ask::{Ask, Format, Message, Role, Tool, ToolChoice, text_of},
    ids,
    problem::Problem,
    script::{Stop, words},
    turn::Turn,
};

pub(super) fn route(method: &Method, path: &str, query: &str) -> Option<Route> {
    let Some((_, rest)) = path.rsplit_once("/models/") else {
        return (*method == Method::GET && path.ends_with("/models")).then_some(Route::Models);
    };
    match (method, rest.rsplit_once(':')) {
        (&Method::GET, None) => Some(Route::Model(rest.to_owned())),
        (&Method::POST, Some((model, action))) => {
            let model = model.to_owned();
            match action {
                "generateContent" => Some(Route::Generate {
                    model,
                    framing: None,
                }),
                "streamGenerateContent" => {
                    let events = query.split('&').any(|pair| pair == "alt=sse");
                    let framing = if events {
                        Framing::Events
                    } else {
                        Framing::Array
                    };
                    Some(Route::Generate {
                        model,
                        framing: Some(framing),
                    })
                }
                "countTokens" => Some(Route::CountTokens { model: Some(model) }),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn headers() -> HeaderMap {
    header_map([
        ("server-timing", "gfet4t7; dur=11"),
        ("vary", "Origin, X-Origin, Referer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-xss-protection", "0"),
    ])
}

// ===== Errors =====

pub(super) fn failure(problem: &Problem, model: &str) -> Failure {
    let (status, word, message): (u16, &str, String) = match problem {
        Problem::Invalid { message, .. } => (400, "INVALID_ARGUMENT", message.clone()),
        Problem::NoKey => (
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API."
                .into(),
        ),
        Problem::WrongKey => (
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
             cookie or other valid authentication credential."
                .into(),
        ),
        Problem::InvalidKey => (
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.".into(),
        ),
        Problem::Forbidden => (
            403,
            "PERMISSION_DENIED",
            "The caller does not have permission".into(),
        ),
        Problem::NoSuchModel => (
            404,
            "NOT_FOUND",
            format!(
                "models/{model} is not found for API version v1beta, or is not supported for \
                 generateContent. Call ListModels to see the list of available models and their \
                 supported methods."
            ),
        ),
        Problem::NoSuchPath => (404, "NOT_FOUND", "Requested entity was not found.".into()),
        Problem::ContextLength => (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1048597) exceeds the maximum number of tokens allowed \
             (1048576)."
                .into(),
        ),
        Problem::BodyTooLarge => (
            413,
            "INVALID_ARGUMENT",
            "Request payload size exceeds the limit.".into(),
        ),
        Problem::Filtered => return blocked(model),
        Problem::RateLimited(wait) => (
            429,
            "RESOURCE_EXHAUSTED",
            format!(
                "You exceeded your current quota, please check your plan and billing details. \
                 Please retry in {}s.",
                wait.as_secs_f64()
            ),
        ),
        Problem::Quota => (
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details. For \
             more information on this error, head to: \
             https://ai.google.dev/gemini-api/docs/rate-limits."
                .into(),
        ),
        Problem::Prefill => (
            400,
            "INVALID_ARGUMENT",
            "Please ensure that the conversation ends with a user turn.".into(),
        ),
        Problem::Server => (500, "INTERNAL", "An internal error has occurred.".into()),
        Problem::Unavailable => (
            503,
            "UNAVAILABLE",
            "The service is currently unavailable.".into(),
        ),
        Problem::Overloaded => (
            529,
            "UNAVAILABLE",
            "The model is overloaded. Please try again later.".into(),
        ),
        Problem::TimedOut => (
            504,
            "DEADLINE_EXCEEDED",
            "Deadline expired before operation could complete.".into(),
        ),
    };
    let mut error = json!({ "code": status, "message": message, "status": word });
    if let Some(details) = details(problem, model) {
        error["details"] = details;
    }
    let body = json!({ "error": error });
    super::failure(
        status,
        "application/json; charset=UTF-8",
        format!("{body:#}\n").into(),
    )
}

fn details(problem: &Problem, model: &str) -> Option<Value> {
    let violation = |quota: &str| {
        json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                "quotaId": quota,
                "quotaDimensions": { "location": "global", "model": model },
                "quotaValue": "20",
            }],
        })
    };
    match problem {
        Problem::RateLimited(wait) => Some(json!([
            violation("GenerateRequestsPerMinutePerProjectPerModel"),
            {
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{}s", wait.as_secs_f64()),
            },
        ])),
        Problem::Quota => Some(json!([
            violation("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s" },
        ])),
        Problem::InvalidKey => Some(json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }])),
        _ => None,
    }
}

/// A prompt that was blocked is no error to Gemini: 200, and no candidates.
fn blocked(model: &str) -> Failure {
    let body = json!({
        "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" },
        "usageMetadata": { "promptTokenCount": 8, "totalTokenCount": 8 },
        "modelVersion": model,
        "responseId": response_id(),
    });
    super::failure(
        200,
        "application/json; charset=UTF-8",
        format!("{body:#}\n").into(),
    )
}

/// A stream that fails turns into a plain error object, with no `data:` before it.
pub(super) fn error_event() -> Bytes {
    failure(&Problem::Overloaded, "").body
}

// ===== Models =====

pub(super) fn models(models: &[String]) -> Value {
    json!({ "models": models.iter().map(|id| model(id)).collect::<Vec<_>>() })
}

pub(super) fn model(id: &str) -> Value {
    json!({
        "name": format!("models/{id}"),
        "displayName": id,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    })
}

pub(super) fn count(tokens: u64) -> Value {
    json!({
        "totalTokens": tokens,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": tokens }],
    })
}

// ===== Requests =====

pub(super) fn read(body: &Value, model: &str, stream: bool) -> Result<Ask, Problem> {
    // A count may wrap the request it is for.
    let body = body.get("generateContentRequest").unwrap_or(body);
    let contents = match field(body, "contents") {
        Some(Value::Array(contents)) if !contents.is_empty() => contents,
        _ => {
            return Err(Problem::invalid(
                "* GenerateContentRequest.contents: contents is not specified\n",
                "contents",
            ));
        }
    };
    let system = field(body, "systemInstruction").or_else(|| field(body, "system_instruction"));
    let system = system.map(|content| Message {
        role: Role::System,
        text: text_in(content),
    });
    let heard: Vec<Message> = system
        .map(Ok)
        .into_iter()
        .chain(contents.iter().map(message_of))
        .collect::<Result<_, _>>()?;
    let nothing = Value::Null;
    let config = field(body, "generationConfig").unwrap_or(&nothing);
    let mut ask = Ask {
        model: model.to_owned(),
        max_tokens: config.get("maxOutputTokens").and_then(Value::as_u64),
        stream,
        stops: strings(config.get("stopSequences")),
        tools: tools(body),
        tool_choice: tool_choice(body),
        format: format(config),
        thinking: config.pointer("/thinkingConfig/includeThoughts") == Some(&Value::Bool(true)),
        choices: 1,
        ..Ask::default()
    };
    ask.hear(heard);
    Ok(ask)
}

fn message_of(content: &Value) -> Result<Message, Problem> {
    let role = match content.get("role").and_then(Value::as_str) {
        Some("model") => Role::Assistant,
        Some("user" | "function" | "") | None => Role::User,
        Some(_) => {
            return Err(Problem::invalid(
                "Please use a valid role: user, model.",
                "contents",
            ));
        }
    };
    Ok(Message {
        role,
        text: text_in(content),
    })
}

fn text_in(content: &Value) -> String {
    let parts = content
        .get("parts")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let texts = parts
        .iter()
        .map(|part| match part.pointer("/functionResponse/response") {
            Some(response) => response.to_string(),
            None => text_of(part),
        });
    texts.collect()
}

fn tools(body: &Value) -> Vec<Tool> {
    let tools = body
        .get("tools")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let declarations = tools.iter().filter_map(|tool| {
        let list = tool
            .get("functionDeclarations")
            .or_else(|| tool.get("function_declarations"));
        list?.as_array()
    });
    let named = declarations.flatten().filter_map(|declaration| {
        let schema = field(declaration, "parametersJsonSchema")
            .or_else(|| field(declaration, "parameters"))
            .cloned()
            .unwrap_or(Value::Null);
        Some(Tool {
            name: text_field(declaration, "name")?,
            schema,
        })
    });
    named.collect()
}

fn tool_choice(body: &Value) -> ToolChoice {
    let Some(config) = body.pointer("/toolConfig/functionCallingConfig") else {
        return ToolChoice::Auto;
    };
    match config.get("mode").and_then(Value::as_str) {
        Some("ANY") => match strings(config.get("allowedFunctionNames"))
            .into_iter()
            .next()
        {
            Some(name) => ToolChoice::Named(name),
            None => ToolChoice::Required,
        },
        Some("NONE") => ToolChoice::None,
        _ => ToolChoice::Auto,
    }
}

fn format(config: &Value) -> Format {
    let schema = field(config, "responseJsonSchema").or_else(|| field(config, "responseSchema"));
    match (
        schema,
        config.get("responseMimeType").and_then(Value::as_str),
    ) {
        (Some(schema), _) => Format::Schema(schema.clone()),
        (None, Some("application/json")) => Format::Json,
        _ => Format::Text,
    }
}

// ===== Replies =====

pub(super) fn whole(turn: &Turn) -> Bytes {
    let mut parts = Vec::new();
    if let Some(thinking) = &turn.reply.thinking {
        parts.push(json!({ "text": thinking, "thought": true }));
    }
    if !turn.reply.text.is_empty() {
        parts.push(json!({ "text": turn.reply.text }));
    }
    parts.extend(calls(turn));
    let writer = Writer::new(turn);
    let body = writer.response(
        Value::Array(parts),
        Some(finish_reason(&turn.stop)),
        turn.output_tokens,
    );
    format!("{body:#}\n").into()
}

/// Function calls come whole, with an id each and a signature on the first.
fn calls(turn: &Turn) -> impl Iterator<Item = Value> {
    turn.reply
        .tool_calls
        .iter()
        .enumerate()
        .map(|(place, call)| {
            let args = if call.arguments.is_null() {
                json!({})
            } else {
                call.arguments.clone()
            };
            let call = json!({ "name": call.name, "args": args, "id": ids::alphanumeric("", 8) });
            let mut part = Map::from_iter([("functionCall".to_owned(), call)]);
            if place == 0 {
                let signature = ids::alphanumeric("EsINCr8NAb4", 64) + "==";
                part.insert("thoughtSignature".to_owned(), signature.into());
            }
            Value::Object(part)
        })
}

const fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Tool => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Filtered => "SAFETY",
    }
}

fn response_id() -> String {
    ids::alphanumeric("", 22)
}

pub(super) fn frames(turn: &Turn, framing: Framing) -> Frames {
    let writer = Writer::new(turn);
    let mut responses = Vec::new();
    let mut said = 0;
    let mut say = |part: Value, tokens: u64| {
        said += tokens;
        responses.push(writer.response(json!([part]), None, said.min(turn.output_tokens)));
    };
    for word in turn
        .reply
        .thinking
        .as_deref()
        .map(words)
        .unwrap_or_default()
    {
        say(json!({ "text": word, "thought": true }), 1);
    }
    if !turn.reply.text.is_empty() {
        for piece in turn.reply.pieces() {
            say(json!({ "text": piece }), 1);
        }
    }
    for call in calls(turn) {
        say(call, 4);
    }
    let last = writer.response(
        json!([{ "text": "" }]),
        Some(finish_reason(&turn.stop)),
        turn.output_tokens,
    );
    match framing {
        Framing::Events => Frames {
            opening: Vec::new(),
            content: responses.iter().map(event).collect(),
            closing: vec![event(&last)],
        },
        Framing::Array => Frames {
            opening: vec![Bytes::from_static(b"[")],
            content: responses
                .iter()
                .map(|element| format!("{element:#}\n,\r\n").into())
                .collect(),
            closing: vec![format!("{last:#}\n]").into()],
        },
    }
}

fn event(response: &Value) -> Bytes {
    format!("data: {response}\r\n\r\n").into()
}

struct Writer<'a> {
    turn: &'a Turn,
    id: String,
}

impl<'a> Writer<'a> {
    fn new(turn: &'a Turn) -> Self {
        Self {
            turn,
            id: response_id(),
        }
    }

    /// Usage comes with every piece and grows; thoughts are not among the candidate's tokens.
    fn response(&self, parts: Value, finish: Option<&str>, output_tokens: u64) -> Value {
        let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
        if let Some(finish) = finish {
            candidate["finishReason"] = json!(finish);
        }
        let thoughts = self.turn.thinking_tokens.min(output_tokens);
        let input = self.turn.ask.input_tokens;
        let mut usage = json!({
            "promptTokenCount": input,
            "candidatesTokenCount": output_tokens - thoughts,
            "totalTokenCount": input + output_tokens,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": input }],
        });
        if thoughts > 0 {
            usage["thoughtsTokenCount"] = json!(thoughts);
        }
        json!({
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self.turn.ask.model,
            "responseId": self.id,
        })
    }
}
