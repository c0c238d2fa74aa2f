//! Gemini's dialect has no side towards callers, so its other half is written here, in the simplest
//! way.

use backstop_llm::{
    Chat, ChatRequest, Completion, Dialect, Json, Part, ResponseFormat, Role, Source, Tool,
    ToolChoice, plan::Plan, sse::SseParser,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::arbitrary::{chat, completion};

/// A part of an answer, as Google writes it. It is put together as text, so that no number in it
/// changes.
fn part(part: &Part) -> String {
    let (fields, signature) = match part {
        Part::Text { text, .. } => (format!("\"text\":{}", json!(text)), None),
        Part::Thinking(thinking) => (
            format!("\"text\":{},\"thought\":true", json!(thinking.text)),
            thinking.signature.as_ref(),
        ),
        Part::ToolCall(call) => {
            let (id, name) = (json!(call.id), json!(call.name));
            let arguments = &call.arguments;
            let call_of = format!("{{\"id\":{id},\"name\":{name},\"args\":{arguments}}}");
            (
                format!("\"functionCall\":{call_of}"),
                call.signature.as_ref(),
            )
        }
        other => unreachable!("no such part is made: {other:?}"),
    };
    match signature {
        Some(it) => format!("{{{fields},\"thoughtSignature\":{}}}", json!(it.value)),
        None => format!("{{{fields}}}"),
    }
}

fn parts(completion: &Completion) -> Vec<String> {
    completion.choices[0].content.iter().map(part).collect()
}

/// A piece of an answer. What is told of all of it comes in each.
fn piece(completion: &Completion, parts: &str, last: bool) -> String {
    let usage = completion.usage.expect("a usage");
    let usage = json!({
        "promptTokenCount": usage.input, "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
    });
    let (id, model) = (json!(completion.id), json!(completion.model));
    let finish = if last {
        ",\"finishReason\":\"STOP\""
    } else {
        ""
    };
    format!(
        "{{\"candidates\":[{{\"content\":{{\"role\":\"model\",\"parts\":[{parts}]}}{finish}}}],\
         \"responseId\":{id},\"modelVersion\":{model},\"usageMetadata\":{usage}}}"
    )
}

fn streamed(completion: &Completion) -> Completion {
    let mut parser = SseParser::new();
    let parts = parts(completion);
    for (n, part) in parts.iter().enumerate() {
        let piece = piece(completion, part, n == parts.len() - 1);
        parser.push(format!("data: {piece}\r\n\r\n").as_bytes());
    }
    let mut decoder = Dialect::Gemini.wire().decoder();
    let mut events = Vec::new();
    while let Some(event) = parser.next_event().expect("small events") {
        decoder.event(&event, &mut events).expect("an event");
    }
    assert!(decoder.is_whole());
    events.into_iter().collect()
}

/// What a request says, in words that it can be compared by. Google knows two sides, takes the
/// system prompt apart, and pairs calls and results whose ids are not its own by their order.
fn words(chat: &Chat) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(chat.system_text().map(|text| format!("system {text}")));
    for message in &chat.messages {
        let side = match message.role {
            Role::System | Role::Developer => continue,
            Role::Assistant => "model",
            _ => "user",
        };
        for part in &message.content {
            words.push(match part {
                Part::Text { text, .. } => format!("{side} says {text}"),
                Part::Image(image) => match &image.source {
                    Source::Base64 { media_type, data } => {
                        format!("{side} shows {media_type} {data}")
                    }
                    source => format!("{side} shows {}", source.to_url()),
                },
                Part::ToolCall(call) => {
                    let args: Value = serde_json::from_str(&call.arguments).expect("JSON");
                    format!("{side} calls {} {args}", call.name)
                }
                Part::ToolResult(result) => {
                    format!("{side} gave {}", backstop_llm::text_of(&result.content))
                }
                other => unreachable!("no such part is made: {other:?}"),
            });
        }
    }
    for tool in &chat.tools {
        if let Tool::Function(function) = tool {
            let schema = function.schema.as_ref().map(settled).unwrap_or_default();
            words.push(format!(
                "tool {} {:?} {schema}",
                function.name, function.description
            ));
        }
    }
    words.extend(chat.tool_choice.as_ref().map(|choice| match choice {
        ToolChoice::Auto => "AUTO".to_owned(),
        ToolChoice::Required => "ANY".to_owned(),
        ToolChoice::Named(name) => format!("ANY {name}"),
        _ => "NONE".to_owned(),
    }));
    let sampling = &chat.sampling;
    words.push(format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        chat.max_tokens,
        chat.stop,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        sampling.presence_penalty,
        sampling.frequency_penalty,
        sampling.seed,
    ));
    if let ResponseFormat::Schema { schema, .. } = &chat.format {
        words.push(format!("schema {}", settled(schema)));
    }
    words
}

/// JSON as it is once these tests have read it: they read numbers less exactly than they are
/// passed on.
fn settled(json: &Json) -> String {
    json.read::<Value>().expect("JSON").to_string()
}

/// The same of a request on the wire.
fn words_on_the_wire(body: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut words = Vec::new();
    let system = &body["systemInstruction"]["parts"][0]["text"];
    words.extend(system.as_str().map(|text| format!("system {text}")));
    for content in list(&body["contents"]) {
        let side = text(&content["role"]);
        for part in list(&content["parts"]) {
            let (blob, file) = (&part["inlineData"], &part["fileData"]);
            let (call, gave) = (&part["functionCall"], &part["functionResponse"]);
            words.push(if blob.is_object() {
                format!(
                    "{side} shows {} {}",
                    text(&blob["mimeType"]),
                    text(&blob["data"])
                )
            } else if file.is_object() {
                format!("{side} shows {}", text(&file["fileUri"]))
            } else if call.is_object() {
                format!("{side} calls {} {}", text(&call["name"]), call["args"])
            } else if gave.is_object() {
                format!("{side} gave {}", text(&gave["response"]["result"]))
            } else {
                format!("{side} says {}", text(&part["text"]))
            });
        }
    }
    for tool in list(&body["tools"][0]["functionDeclarations"]) {
        let description = tool["description"].as_str();
        let (name, schema) = (text(&tool["name"]), &tool["parametersJsonSchema"]);
        words.push(format!("tool {name} {description:?} {schema}"));
    }
    let calling = &body["toolConfig"]["functionCallingConfig"];
    words.extend(calling["mode"].as_str().map(|mode| {
        let name = text(&calling["allowedFunctionNames"][0]);
        format!("{mode} {name}").trim_end().to_owned()
    }));
    let config = &body["generationConfig"];
    let stop: Vec<_> = list(&config["stopSequences"]).iter().map(text).collect();
    words.push(format!(
        "{:?} {stop:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        config["maxOutputTokens"].as_u64(),
        config["temperature"].as_f64(),
        config["topP"].as_f64(),
        config["topK"].as_u64(),
        config["presencePenalty"].as_f64(),
        config["frequencyPenalty"].as_f64(),
        config["seed"].as_i64(),
    ));
    if config["responseJsonSchema"].is_object() {
        words.push(format!("schema {}", config["responseJsonSchema"]));
    }
    words
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_answer_of_gemini_is_read_as_it_was_written(answered in completion(Dialect::Gemini)) {
        let body = piece(&answered, &parts(&answered).join(","), true);
        let read = Dialect::Gemini.wire().decode(body.as_bytes()).expect("an answer");
        prop_assert_eq!(&read, &answered);
        prop_assert_eq!(&streamed(&answered), &answered);
    }

    #[test]
    fn a_request_to_gemini_says_what_was_asked(chat in chat(Dialect::OpenAi)) {
        let encoded = Dialect::Gemini
            .wire()
            .encode(&ChatRequest::from(chat.clone()), &Plan::default())
            .expect("a request");
        let body: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        prop_assert_eq!(words_on_the_wire(&body), words(&chat));
    }
}
