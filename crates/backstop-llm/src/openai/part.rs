//! The parts of a content.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::thought::WireReasoning;
use crate::{
    Audio, Dialect, Document, Error, Image, Json, Part, Source, Thinking, lenient,
    wire_text::TextOr, wrong,
};

/// One part of a content that is a list.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WirePart {
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<WireImage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<WireFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_audio: Option<WireAudio>,
    /// What Mistral thought: a list of text parts.
    #[serde(deserialize_with = "lenient::any", skip_serializing)]
    thinking: Option<TextOr<WireReasoning>>,
}

#[derive(Deserialize, Serialize)]
#[serde(from = "UrlOr")]
struct WireImage {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Some callers write the URL itself where an object is due.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`image_url` should be a URL, or an object with a `url`"
)]
enum UrlOr {
    Url(String),
    Image { url: String, detail: Option<String> },
}

impl From<UrlOr> for WireImage {
    fn from(either: UrlOr) -> Self {
        match either {
            UrlOr::Url(url) => Self { url, detail: None },
            UrlOr::Image { url, detail } => Self { url, detail },
        }
    }
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct WireFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct WireAudio {
    data: String,
    format: String,
}

/// Reads one part of a content, which stands at this place in a request.
pub(super) fn read_part(place: fmt::Arguments<'_>, json: Json) -> Result<Part, Error> {
    let part: WirePart = wrong::read(Dialect::OpenAi, place, json.get())?;
    Ok(match part {
        WirePart {
            kind,
            text: Some(text),
            ..
        } if kind.ends_with("text") => Part::text(text),
        WirePart {
            refusal: Some(refusal),
            ..
        } => Part::Refusal(refusal),
        WirePart {
            image_url: Some(image),
            ..
        } => Part::Image(Image {
            source: Source::from_url(&image.url),
            detail: image.detail,
        }),
        WirePart {
            file:
                Some(WireFile {
                    file_data: Some(data),
                    filename,
                    file_id: None,
                }),
            ..
        } => Part::Document(Document {
            source: Source::from_url(&data),
            name: filename,
        }),
        WirePart {
            input_audio: Some(audio),
            ..
        } => Part::Audio(Audio {
            format: audio.format,
            data: audio.data,
        }),
        WirePart {
            thinking: Some(thought),
            ..
        } => Part::Thinking(Thinking {
            text: match thought {
                TextOr::Text(text) => text,
                TextOr::Parts(parts) => parts.iter().map(WireReasoning::text).collect(),
            },
            ..Thinking::default()
        }),
        _ => Part::Native {
            dialect: Dialect::OpenAi,
            json,
        },
    })
}

/// Writes one part; none for what the dialect has no part for.
pub(super) fn write_part(part: &Part) -> Option<Json> {
    let mut wire = WirePart::default();
    wire.kind = match part {
        Part::Text { text, .. } => {
            wire.text = Some(text.clone());
            "text"
        }
        Part::Refusal(refusal) => {
            wire.refusal = Some(refusal.clone());
            "refusal"
        }
        Part::Image(image) => {
            wire.image_url = Some(WireImage {
                url: image.source.to_url(),
                detail: image.detail.clone(),
            });
            "image_url"
        }
        Part::Document(Document {
            source: Source::Text(text),
            ..
        }) => {
            wire.text = Some(text.clone());
            "text"
        }
        Part::Document(document) => {
            wire.file = Some(WireFile {
                file_data: Some(document.source.to_url()),
                // The name is required, and tells the kind of file.
                filename: Some(
                    document
                        .name
                        .clone()
                        .unwrap_or_else(|| "document.pdf".to_owned()),
                ),
                file_id: None,
            });
            "file"
        }
        Part::Audio(audio) => {
            wire.input_audio = Some(WireAudio {
                data: audio.data.clone(),
                format: audio.format.clone(),
            });
            "input_audio"
        }
        Part::Native {
            dialect: Dialect::OpenAi,
            json,
        } => return Some(json.clone()),
        _ => return None,
    }
    .to_owned();
    Some(Json::of(&wire))
}

/// Writes a content: a string where it is all text, else a list.
pub(super) fn write_content(parts: &[Part]) -> Option<TextOr<Json>> {
    let plain = |part: &&Part| !matches!(part, Part::Text { .. });
    let mut list = parts.iter().filter_map(write_part).peekable();
    list.peek()?;
    Some(match parts.iter().find(plain) {
        None if parts.len() == 1 => TextOr::Text(crate::text_of(parts)),
        _ => TextOr::Parts(list.collect()),
    })
}
