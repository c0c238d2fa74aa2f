//! Parts, as requests and answers have them alike.

use serde::{Deserialize, Serialize};

use crate::{
    Audio, Dialect, Document, Image, Json, Part, Signature, Source, Thinking, ToolCall, ToolResult,
    lenient,
};

/// One part of a content on the wire.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WirePart {
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<WireCall>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    function_response: Option<WireResult>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inline_data: Option<Blob>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    file_data: Option<File>,
}

/// A tool call on the wire.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WireCall {
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) args: Option<Json>,
}

#[derive(Serialize)]
struct WireResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    name: String,
    response: serde_json::Value,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob {
    mime_type: String,
    data: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
    file_uri: String,
}

// ===== from the wire =====

impl Blob {
    /// The picture that it is; none where it is a sound or something else.
    pub(super) fn picture(self) -> Option<Part> {
        if !self.mime_type.starts_with("image/") {
            return None;
        }
        Some(Part::Image(Image {
            source: Source::Base64 {
                media_type: self.mime_type,
                data: self.data,
            },
            detail: None,
        }))
    }
}

impl WireCall {
    /// The call's id. Older models give none and pair results with calls by their order; a caller
    /// must have one all the same, made of the answer's id and the call's place in it.
    pub(super) fn id(&self, response: &str, index: usize) -> String {
        match self.id.as_deref() {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => format!("{MADE_UP}{response}_{index}"),
        }
    }

    pub(super) fn arguments(&self) -> String {
        let args = self.args.as_ref().filter(|args| !args.is_null());
        args.map_or_else(|| "{}".to_owned(), compact)
    }
}

const MADE_UP: &str = "call_";

/// The same JSON without white space between its tokens.
fn compact(json: &Json) -> String {
    let mut out = String::with_capacity(json.get().len());
    let mut quoted = false;
    let mut escaped = false;
    for c in json.get().chars() {
        if quoted || !c.is_ascii_whitespace() {
            out.push(c);
        }
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}

fn own(signature: String) -> Signature {
    Signature::new(Dialect::Gemini, signature)
}

/// Adds what one part of an answer means to the parts before it.
pub(super) fn read_part(json: &Json, response: &str, parts: &mut Vec<Part>) {
    let wire: WirePart = json.read().unwrap_or_default();
    let signature = wire.thought_signature.map(own);
    match (wire.function_call, wire.text, wire.inline_data) {
        (Some(call), ..) => {
            let calls = parts
                .iter()
                .filter(|part| matches!(part, Part::ToolCall(_)))
                .count();
            let mut read = ToolCall::new(
                call.id(response, calls),
                call.name.clone(),
                call.arguments(),
            );
            read.signature = signature;
            parts.push(Part::ToolCall(read));
        }
        (None, Some(text), _) if wire.thought => match parts.last_mut() {
            Some(Part::Thinking(before)) if before.signature.is_none() => {
                before.text.push_str(&text);
                before.signature = signature;
            }
            _ => parts.push(Part::Thinking(Thinking {
                text,
                signature,
                redacted: None,
            })),
        },
        (None, Some(text), _) => {
            if let Some(signature) = signature {
                sign(parts, signature);
            }
            match parts.last_mut() {
                Some(Part::Text { text: before, .. }) => before.push_str(&text),
                _ if text.is_empty() => {}
                _ => parts.push(Part::text(text)),
            }
        }
        (None, None, blob) => {
            // A picture too may bring the proof of the thoughts before it.
            let proves = signature.is_some();
            if let Some(signature) = signature {
                sign(parts, signature);
            }
            parts.extend(other(blob, proves, json));
        }
    }
}

/// A part that is neither text nor a call: a picture, or what only the dialect knows, unless all
/// that there is to it is that it proves a thought.
pub(super) fn other(blob: Option<Blob>, proves: bool, json: &Json) -> Option<Part> {
    blob.and_then(Blob::picture).or_else(|| {
        let native = Part::Native {
            dialect: Dialect::Gemini,
            json: json.clone(),
        };
        (!proves).then_some(native)
    })
}

/// What proves the thoughts may come with the text after them.
fn sign(parts: &mut Vec<Part>, signature: Signature) {
    let unsigned = |part: &mut Part| match part {
        Part::Thinking(thinking) if thinking.signature.is_none() => {
            thinking.signature = Some(signature.clone());
            true
        }
        _ => false,
    };
    if !parts.iter_mut().rev().any(unsigned) {
        let thinking = Thinking {
            signature: Some(signature),
            ..Thinking::default()
        };
        parts.insert(0, Part::Thinking(thinking));
    }
}

// ===== to the wire =====

/// Writes one part; none for what the dialect has no part for.
pub(super) fn write_part(part: &Part) -> Option<Json> {
    let mut wire = WirePart::default();
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => wire.text = Some(text.clone()),
        Part::Image(Image { source, .. }) => write_source(source, "image/jpeg", &mut wire),
        Part::Document(Document { source, .. }) => {
            write_source(source, "application/pdf", &mut wire);
        }
        Part::Audio(Audio { format, data }) => {
            wire.inline_data = Some(Blob {
                mime_type: format!("audio/{format}"),
                data: data.clone(),
            });
        }
        Part::Thinking(thinking) => {
            // A thought of another provider's is of no use here.
            let signature = thinking.signature.as_ref()?.for_dialect(Dialect::Gemini)?;
            wire.thought = !thinking.text.is_empty();
            wire.text = Some(thinking.text.clone());
            wire.thought_signature = Some(signature.to_owned());
        }
        Part::ToolCall(call) => {
            wire.function_call = Some(WireCall {
                id: own_id(&call.id),
                name: call.name.clone(),
                args: Some(call.object()),
            });
            let signature = call.signature.as_ref();
            wire.thought_signature = signature
                .and_then(|s| s.for_dialect(Dialect::Gemini))
                .map(str::to_owned);
        }
        Part::Native {
            dialect: Dialect::Gemini,
            json,
        } => return Some(json.clone()),
        Part::Native { .. } | Part::ToolResult(_) => return None,
    }
    Some(Json::of(&wire))
}

fn write_source(source: &Source, kind: &'static str, wire: &mut WirePart) {
    match source {
        Source::Base64 { media_type, data } => {
            wire.inline_data = Some(Blob {
                mime_type: media_type.clone(),
                data: data.clone(),
            });
        }
        Source::Text(text) => wire.text = Some(text.clone()),
        Source::Url(url) => {
            wire.file_data = Some(File {
                mime_type: media_type(url).or(Some(kind)),
                file_uri: url.clone(),
            });
        }
    }
}

/// What kind of file a URL names, by its ending.
fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "gif" => "image/gif",
        "jpeg" | "jpg" => "image/jpeg",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "webp" => "image/webp",
        _ => return None,
    })
}

/// Writes what a tool gave. The response must be an object, so a text is wrapped into one.
pub(super) fn write_result(result: &ToolResult, name: &str) -> Vec<Json> {
    let text = crate::text_of(&result.content);
    let object = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .filter(|value| value.is_object() && !result.is_error);
    let key = if result.is_error { "error" } else { "result" };
    let wire = WirePart {
        function_response: Some(WireResult {
            id: own_id(&result.id),
            name: name.to_owned(),
            response: object.unwrap_or_else(|| serde_json::json!({ key: text })),
        }),
        ..WirePart::default()
    };
    // Pictures among the results go beside the response.
    let beside = result
        .content
        .iter()
        .filter(|part| part.as_text().is_none());
    std::iter::once(Json::of(&wire))
        .chain(beside.filter_map(write_part))
        .collect()
}

/// The id, where it is of the form that Gemini gives; calls and results with another are paired by
/// their order, as it does with its own that have none.
fn own_id(id: &str) -> Option<String> {
    let gives = id.len() == 8
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    gives.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_within_strings_stays() {
        let json = Json::parse("{ \"a b\" : [ 1 , \"c \\\" d\" ] }").unwrap();
        assert_eq!(compact(&json), r#"{"a b":[1,"c \" d"]}"#);
    }

    #[test]
    fn a_made_up_id_is_not_sent_back() {
        assert_eq!(own_id("8hd01vsf").as_deref(), Some("8hd01vsf"));
        assert_eq!(own_id("call_abc_0"), None);
        assert_eq!(own_id("toolu_01"), None);
    }
}
