//! Messages and their parts, as requests and answers have them alike.

use serde::{Deserialize, Serialize};

use super::{
    part::{read_part, write_content, write_part},
    thought::{WireExtra, WireReasoning, thoughts},
};
use crate::{
    Citation, Dialect, Error, Json, Message, Part, Role, ToolCall, ToolResult, lenient,
    wire_text::TextOr, wrong,
};

/// A message on the wire.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WireMessage {
    #[serde(deserialize_with = "lenient::scalar")]
    pub(super) role: String,
    pub(super) content: Option<TextOr<Json>>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<Vec<WireToolCall>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<WireFunctionCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_call_id: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<String>,
    #[serde(deserialize_with = "lenient::any", skip_serializing)]
    pub(super) reasoning: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasoning_details: Vec<WireReasoning>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) annotations: Vec<Json>,
    /// The pictures that a model made, as OpenRouter has them.
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) images: Vec<Json>,
}

/// A tool call on the wire.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WireToolCall {
    #[serde(deserialize_with = "lenient::any")]
    pub(super) id: String,
    #[serde(rename = "type", skip_deserializing)]
    kind: &'static str,
    function: Option<WireFunctionCall>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_content: Option<WireExtra>,
}

/// Which function, and with what.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WireFunctionCall {
    #[serde(deserialize_with = "lenient::any")]
    name: String,
    /// A string that holds JSON; with some servers the JSON itself.
    arguments: Option<Json>,
}

// ===== from the wire =====

/// Reads the text of a JSON string, or the JSON itself where it is none.
pub(super) fn text_or_json(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| match json {
        "null" => String::new(),
        json => json.to_owned(),
    })
}

impl WireFunctionCall {
    fn into_call(self, id: String) -> ToolCall {
        let arguments = self.arguments.map(|json| text_or_json(json.get()));
        ToolCall::new(id, self.name, arguments.unwrap_or_default())
    }
}

impl WireMessage {
    /// What the message holds, beside its role; in a request it is at this place among them.
    pub(super) fn into_parts(self, at: usize) -> Result<Vec<Part>, Error> {
        // Most have one, and room for more would be held for as long as the message is.
        let mut parts = Vec::with_capacity(1);
        let texts = [self.reasoning_content, self.reasoning];
        let mut texts = texts.into_iter().flatten();
        let thoughts = thoughts(texts.find(|text| !text.is_empty()), self.reasoning_details);
        parts.extend(thoughts.into_iter().map(Part::Thinking));
        match self.content {
            Some(TextOr::Text(text)) if !text.is_empty() => parts.push(Part::text(text)),
            Some(TextOr::Parts(list)) => {
                for (i, json) in list.into_iter().enumerate() {
                    let part = read_part(format_args!("messages[{at}].content[{i}]"), json);
                    parts.push(part?);
                }
            }
            _ => {}
        }
        if let Some(refusal) = self.refusal.filter(|text| !text.is_empty()) {
            parts.push(Part::Refusal(refusal));
        }
        if let Some(Part::Text { citations, .. }) =
            parts.iter_mut().rev().find(|p| p.as_text().is_some())
        {
            citations.extend(self.annotations.iter().map(citation));
        }
        for (i, json) in self.images.into_iter().enumerate() {
            let part = read_part(format_args!("messages[{at}].images[{i}]"), json);
            parts.push(part?);
        }
        for call in self.tool_calls.unwrap_or_default() {
            let function = call.function.unwrap_or_default();
            let mut read = function.into_call(call.id);
            read.signature = call.extra_content.as_ref().map(WireExtra::read);
            parts.push(Part::ToolCall(read));
        }
        if let Some(call) = self.function_call {
            parts.push(Part::ToolCall(call.into_call(String::new())));
        }
        Ok(parts)
    }

    /// The message in shared words; it is at this place in the request.
    pub(super) fn into_message(self, at: usize) -> Result<Message, Error> {
        let role = read_role(&self.role).ok_or_else(|| {
            wrong::unknown_role(Dialect::OpenAi, format_args!("messages[{at}]"), &self.role)
        })?;
        let name = self.name.clone();
        let id = self.tool_call_id.clone();
        let mut content = self.into_parts(at)?;
        if role == Role::Tool {
            let id = id.or_else(|| name.clone()).unwrap_or_default();
            content = vec![Part::ToolResult(ToolResult::heard(id, content))];
        }
        Ok(Message {
            role,
            content,
            name,
        })
    }
}

/// Reads a role.
pub(super) fn read_role(word: &str) -> Option<Role> {
    Some(match word {
        "assistant" => Role::Assistant,
        "developer" => Role::Developer,
        "system" => Role::System,
        "tool" | "function" => Role::Tool,
        "user" => Role::User,
        _ => return None,
    })
}

/// Reads a `url_citation`; anything else is kept as it came.
pub(super) fn citation(json: &Json) -> Citation {
    #[derive(Default, Deserialize)]
    struct Annotation {
        #[serde(default)]
        url_citation: Url,
    }
    #[derive(Default, Deserialize)]
    struct Url {
        url: Option<String>,
        title: Option<String>,
    }
    let read: Annotation = json.read().unwrap_or_default();
    Citation {
        url: read.url_citation.url,
        title: read.url_citation.title,
        text: None,
        native: Some((Dialect::OpenAi, json.clone())),
    }
}

// ===== to the wire =====

/// Writes a citation as an annotation.
pub(super) fn annotation(citation: &Citation) -> Option<Json> {
    match &citation.native {
        Some((Dialect::OpenAi, json)) => Some(json.clone()),
        _ => citation.url.as_ref().map(|url| {
            let title = citation.title.as_deref().unwrap_or_default();
            Json::of(&serde_json::json!({
                "type": "url_citation",
                "url_citation": { "url": url, "title": title, "start_index": 0, "end_index": 0 },
            }))
        }),
    }
}

/// Writes what an assistant's message holds.
pub(super) fn write_assistant(parts: &[Part]) -> WireMessage {
    let mut message = WireMessage {
        role: "assistant".to_owned(),
        ..WireMessage::default()
    };
    let mut said = Vec::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::ToolCall(call) => calls.push(WireToolCall {
                id: call.id.clone(),
                kind: "function",
                function: Some(WireFunctionCall {
                    name: call.name.clone(),
                    arguments: Some(Json::of(match call.arguments.as_str() {
                        "" => "{}",
                        arguments => arguments,
                    })),
                }),
                extra_content: call.signature.as_ref().map(WireExtra::write),
            }),
            Part::Refusal(refusal) => {
                message.refusal.get_or_insert_default().push_str(refusal);
            }
            Part::Thinking(thinking) => {
                let details = WireReasoning::write(thinking);
                message.reasoning_details.extend(details);
                if !thinking.text.is_empty() {
                    message
                        .reasoning_content
                        .get_or_insert_default()
                        .push_str(&thinking.text);
                }
            }
            Part::Text { citations, .. } => {
                message
                    .annotations
                    .extend(citations.iter().filter_map(annotation));
                said.push(part.clone());
            }
            Part::Image(_) => message.images.extend(write_part(part)),
            _ => said.push(part.clone()),
        }
    }
    message.content = write_content(&said);
    message.tool_calls = (!calls.is_empty()).then_some(calls);
    message
}
