//! Content blocks, as requests and answers have them alike.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Citation, Dialect, Document, Error, Image, Json, Part, Signature, Source, Thinking, ToolCall,
    ToolResult, lenient, wire_text::TextOr, wrong,
};

/// A content block on the wire, with the fields of all kinds of it.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WireBlock {
    #[serde(rename = "type")]
    pub(super) kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) citations: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<WireSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_use_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_error: Option<bool>,
}

/// The kinds of blocks that we know.
const KINDS: [&str; 7] = [
    "document",
    "image",
    "redacted_thinking",
    "text",
    "thinking",
    "tool_result",
    "tool_use",
];

/// Where an image or a document is.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct WireSource {
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl WireSource {
    /// The source; none where only the dialect knows its kind, as a stored file's.
    pub(super) fn read(self) -> Option<Source> {
        match (&*self.kind, self.media_type, self.data, self.url) {
            ("base64", Some(media_type), Some(data), _) => {
                Some(Source::Base64 { media_type, data })
            }
            ("text", _, Some(text), _) => Some(Source::Text(text)),
            ("url", _, _, Some(url)) => Some(Source::Url(url)),
            _ => None,
        }
    }

    fn write(source: &Source) -> Self {
        match source {
            Source::Base64 { media_type, data } => Self {
                kind: "base64".into(),
                media_type: Some(media_type.clone()),
                data: Some(data.clone()),
                url: None,
            },
            Source::Text(text) => Self {
                kind: "text".into(),
                media_type: Some("text/plain".to_owned()),
                data: Some(text.clone()),
                url: None,
            },
            Source::Url(url) => Self {
                kind: "url".into(),
                url: Some(url.clone()),
                ..Self::default()
            },
        }
    }
}

// ===== from the wire =====

/// Reads a content, a string or a list of blocks, which stands at this place in a request.
pub(super) fn read_content(
    place: fmt::Arguments<'_>,
    content: TextOr<Json>,
) -> Result<Vec<Part>, Error> {
    match content {
        TextOr::Text(text) if text.is_empty() => Ok(Vec::new()),
        TextOr::Text(text) => Ok(vec![Part::text(text)]),
        TextOr::Parts(blocks) => {
            let blocks = blocks.into_iter().enumerate();
            let read = blocks.map(|(at, json)| read_block(format_args!("{place}.{at}"), json));
            read.collect()
        }
    }
}

/// Reads one block. One of a kind that we don't know is kept as it came.
pub(super) fn read_block(place: fmt::Arguments<'_>, json: Json) -> Result<Part, Error> {
    let block = match wrong::read(Dialect::Anthropic, place, json.get()) {
        Ok(block) => block,
        Err(error) if KINDS.contains(&&*json.word("type")) => return Err(error),
        // Blocks of other kinds may hold anything, under these names too.
        Err(_) => WireBlock::default(),
    };
    let native = Part::Native {
        dialect: Dialect::Anthropic,
        json,
    };
    let signature = |value: Option<String>| {
        let value = value.filter(|value| !value.is_empty())?;
        Some(Signature::from_wire(Dialect::Anthropic, &value))
    };
    Ok(match &*block.kind {
        "text" => Part::Text {
            text: block.text.unwrap_or_default(),
            citations: block.citations.into_iter().map(citation).collect(),
        },
        "thinking" => Part::Thinking(Thinking {
            text: block.thinking.unwrap_or_default(),
            signature: signature(block.signature),
            redacted: None,
        }),
        "redacted_thinking" => Part::Thinking(Thinking {
            redacted: signature(block.data),
            ..Thinking::default()
        }),
        "image" => match block.source.and_then(WireSource::read) {
            Some(source) => Part::Image(Image {
                source,
                detail: None,
            }),
            None => native,
        },
        "document" => match block.source.and_then(WireSource::read) {
            Some(source) => Part::Document(Document {
                source,
                name: block.title,
            }),
            None => native,
        },
        "tool_use" => Part::ToolCall(ToolCall {
            signature: signature(block.signature),
            ..ToolCall::new(
                block.id.unwrap_or_default(),
                block.name.unwrap_or_default(),
                block
                    .input
                    .map_or_else(|| "{}".to_owned(), |json| json.to_string()),
            )
        }),
        "tool_result" => Part::ToolResult(ToolResult {
            id: block.tool_use_id.unwrap_or_default(),
            content: match block.content.filter(|json| !json.is_null()) {
                Some(json) => {
                    let read = wrong::read(
                        Dialect::Anthropic,
                        format_args!("{place}.content"),
                        json.get(),
                    );
                    read_content(format_args!("{place}.content"), read?)?
                }
                None => Vec::new(),
            },
            is_error: block.is_error.unwrap_or_default(),
        }),
        _ => native,
    })
}

/// Reads a citation, keeping what only the dialect knows.
pub(super) fn citation(json: Json) -> Citation {
    #[derive(Default, Deserialize)]
    struct Wire {
        url: Option<String>,
        title: Option<String>,
        document_title: Option<String>,
        cited_text: Option<String>,
    }
    let wire: Wire = json.read().unwrap_or_default();
    Citation {
        url: wire.url,
        title: wire.title.or(wire.document_title),
        text: wire.cited_text,
        native: Some((Dialect::Anthropic, json)),
    }
}

// ===== to the wire =====

/// For whom blocks are written: a caller is shown what any provider signed, a provider only what
/// is its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum To {
    Caller,
    Provider,
}

/// Writes one part; none for what the dialect has no block for, and for empty text, which it
/// refuses.
pub(super) fn write_block(part: &Part, to: To) -> Option<Json> {
    let signature = |signature: &Option<Signature>| match to {
        To::Caller => signature.as_ref().map(|s| s.to_wire(Dialect::Anthropic)),
        To::Provider => signature
            .as_ref()
            .and_then(|s| s.for_dialect(Dialect::Anthropic))
            .map(str::to_owned),
    };
    let mut block = WireBlock::default();
    block.kind = match part {
        Part::Text { text, citations } => {
            if text.is_empty() {
                return None;
            }
            block.text = Some(text.clone());
            block.citations = citations.iter().filter_map(native_citation).collect();
            "text"
        }
        Part::Refusal(text) => {
            block.text = Some(text.clone());
            "text"
        }
        Part::Thinking(thinking) => match (&thinking.redacted, signature(&thinking.signature)) {
            (Some(_), _) => {
                block.data = Some(signature(&thinking.redacted)?);
                "redacted_thinking"
            }
            (None, None) if to == To::Provider => return None,
            (None, signed) => {
                block.thinking = Some(thinking.text.clone());
                block.signature = Some(signed.unwrap_or_default());
                "thinking"
            }
        },
        Part::Image(image) => {
            block.source = Some(WireSource::write(&image.source));
            "image"
        }
        Part::Document(document) => {
            block.source = Some(WireSource::write(&document.source));
            block.title.clone_from(&document.name);
            "document"
        }
        Part::ToolCall(call) => {
            block.id = Some(match to {
                To::Caller => call.id.clone(),
                To::Provider => tool_id(&call.id),
            });
            block.name = Some(call.name.clone());
            block.input = Some(call.object());
            if to == To::Caller {
                block.signature = signature(&call.signature);
            }
            "tool_use"
        }
        Part::ToolResult(result) => {
            block.tool_use_id = Some(tool_id(&result.id));
            let parts: Vec<_> = result
                .content
                .iter()
                .filter_map(|part| write_block(part, to))
                .collect();
            block.content = (!parts.is_empty()).then(|| Json::of(&parts));
            block.is_error = result.is_error.then_some(true);
            "tool_result"
        }
        Part::Native {
            dialect: Dialect::Anthropic,
            json,
        } => return Some(json.clone()),
        _ => return None,
    }
    .into();
    Some(Json::of(&block))
}

/// A citation as the dialect has it; one of another dialect's as a search result with a link.
pub(super) fn native_citation(citation: &Citation) -> Option<Json> {
    match &citation.native {
        Some((Dialect::Anthropic, json)) => Some(json.clone()),
        _ => citation.url.as_ref().map(|url| {
            Json::of(&json!({
                "type": "web_search_result_location",
                "url": url,
                "title": citation.title,
                "cited_text": citation.text.as_deref().unwrap_or_default(),
                "encrypted_index": "",
            }))
        }),
    }
}

/// The id of a tool call in letters that the dialect allows. Two ids never become one: what is
/// not allowed is written as its number.
pub(super) fn tool_id(id: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.chars().all(allowed) {
        return id.to_owned();
    }
    let mut out = String::from("id-");
    for c in id.chars() {
        if allowed(c) && c != '-' {
            out.push(c);
        } else {
            out.push_str(&format!("-{:x}-", u32::from(c)));
        }
    }
    out
}
