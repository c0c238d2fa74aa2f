//! Items, written.

use serde::Serialize;
use serde_json::json;

use crate::{
    Citation, Dialect, Document, Json, Message, Part, Role, Signature, Source, ToolResult,
};

/// Writes a citation as an annotation.
pub(super) fn annotation(citation: &Citation) -> Option<Json> {
    match &citation.native {
        Some((Dialect::Responses, json)) => Some(json.clone()),
        _ => citation.url.as_ref().map(|url| {
            Json::of(&json!({
                "type": "url_citation", "url": url,
                "title": citation.title.as_deref().unwrap_or_default(),
                "start_index": 0, "end_index": 0,
            }))
        }),
    }
}

/// Writes a message as items: what the model said, thought and called for are items each.
pub(super) fn write_items(message: &Message) -> Vec<Json> {
    let mut items = Vec::new();
    let mut content = Vec::new();
    let flush = |content: &mut Vec<Json>, items: &mut Vec<Json>| {
        if !content.is_empty() {
            let role = match message.role {
                Role::Assistant => "assistant",
                Role::Developer => "developer",
                Role::System => "system",
                Role::Tool | Role::User => "user",
            };
            let said = std::mem::take(content);
            items.push(Json::of(&OutMessage {
                r#type: "message",
                role,
                content: said,
            }));
        }
    };
    for part in &message.content {
        let item = match part {
            Part::ToolCall(call) => Some(json!({
                "type": "function_call", "call_id": call.id, "name": call.name,
                "arguments": if call.arguments.is_empty() { "{}" } else { &call.arguments },
            })),
            Part::ToolResult(result) => Some(write_output(result)),
            Part::Thinking(thinking) => {
                // Thoughts of another provider's are of no use here, nor are they accepted.
                let own = |s: &Signature| s.for_dialect(Dialect::Responses).map(str::to_owned);
                match thinking.signature.as_ref().and_then(own) {
                    Some(sealed) => Some(json!({
                        "type": "reasoning", "summary": summary(&thinking.text),
                        "encrypted_content": sealed,
                    })),
                    None => continue,
                }
            }
            _ => None,
        };
        match item {
            Some(item) => {
                flush(&mut content, &mut items);
                items.push(Json::of(&item));
            }
            None => content.extend(write_part(part, message.role == Role::Assistant)),
        }
    }
    flush(&mut content, &mut items);
    items
}

#[derive(Serialize)]
struct OutMessage {
    r#type: &'static str,
    role: &'static str,
    content: Vec<Json>,
}

fn write_output(result: &ToolResult) -> serde_json::Value {
    let told = result.told();
    let plain = told.iter().all(|part| part.as_text().is_some());
    let output = if plain {
        crate::text_of(&told).into()
    } else {
        let parts = told.iter().filter_map(|part| write_part(part, false));
        let parts = parts
            .filter_map(|json| serde_json::from_str(json.get()).ok())
            .collect();
        serde_json::Value::Array(parts)
    };
    json!({ "type": "function_call_output", "call_id": result.id, "output": output })
}

/// A thought as the summaries that it is made of.
pub(super) fn summary(text: &str) -> Vec<serde_json::Value> {
    let part = |text: &str| json!({ "type": "summary_text", "text": text });
    if text.is_empty() {
        Vec::new()
    } else {
        vec![part(text)]
    }
}

fn write_part(part: &Part, said_by_model: bool) -> Option<Json> {
    let text = if said_by_model {
        "output_text"
    } else {
        "input_text"
    };
    let value = match part {
        Part::Text { text: words, .. } => json!({ "type": text, "text": words }),
        Part::Refusal(words) if said_by_model => json!({ "type": "refusal", "refusal": words }),
        Part::Refusal(words) => json!({ "type": text, "text": words }),
        Part::Image(image) => json!({
            "type": "input_image", "image_url": image.source.to_url(),
            "detail": image.detail.as_deref().unwrap_or("auto"),
        }),
        Part::Document(Document {
            source: Source::Text(words),
            ..
        }) => {
            json!({ "type": text, "text": words })
        }
        Part::Document(Document {
            source: Source::Url(url),
            ..
        }) => {
            json!({ "type": "input_file", "file_url": url })
        }
        Part::Document(document) => json!({
            "type": "input_file", "file_data": document.source.to_url(),
            "filename": document.name.as_deref().unwrap_or("document"),
        }),
        Part::Audio(audio) => json!({
            "type": "input_audio",
            "input_audio": { "data": audio.data, "format": audio.format },
        }),
        Part::Native {
            dialect: Dialect::Responses,
            json,
        } => return Some(json.clone()),
        _ => return None,
    };
    Some(Json::of(&value))
}
