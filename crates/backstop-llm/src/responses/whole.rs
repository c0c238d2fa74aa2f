//! Items that come as a whole: pictures, thoughts that only their provider can read, and what only
//! this dialect knows.

use serde::Deserialize;
use serde_json::json;

use crate::{Dialect, Image, Json, Part, Signature, Source};

/// Reads a picture that the model made.
pub(super) fn picture(json: &Json) -> Option<Part> {
    #[derive(Deserialize)]
    struct Made {
        r#type: String,
        result: String,
        #[serde(default)]
        output_format: Option<String>,
    }
    let made: Made = json.read().ok()?;
    (made.r#type == MADE).then(|| {
        let format = made.output_format.as_deref().unwrap_or("png");
        Part::Image(Image {
            source: Source::Base64 {
                media_type: format!("image/{format}"),
                data: made.result,
            },
            detail: None,
        })
    })
}

/// The item by which a picture comes.
const MADE: &str = "image_generation_call";

/// What marks a whole thought among the proofs of thoughts, which stand in the same field.
pub(super) const REDACTED: &str = "redacted.";

/// Writes a thought that only its provider can read.
pub(super) fn redacted(data: &Signature) -> String {
    format!("{REDACTED}{}", data.to_wire(Dialect::Responses))
}

/// Writes what comes as a whole, as an item without an id, and what its id begins with: a picture,
/// and what only this dialect knows.
pub(super) fn whole_item(part: &Part) -> Option<(&'static str, serde_json::Value)> {
    match part {
        Part::Native {
            dialect: Dialect::Responses,
            json,
        } => Some(("item", json.read().ok()?)),
        Part::Image(Image {
            source: Source::Base64 { media_type, data },
            ..
        }) => {
            let format = media_type.strip_prefix("image/").unwrap_or(media_type);
            let made = json!({
                "type": MADE, "status": "completed", "output_format": format, "result": data,
            });
            Some(("ig", made))
        }
        // There is no item for a picture elsewhere, so its address is told.
        Part::Image(image) => {
            let said = json!({
                "type": "output_text", "text": image.source.to_url(), "annotations": [],
                "logprobs": [],
            });
            let message = json!({
                "type": "message", "status": "completed", "role": "assistant", "content": [said],
            });
            Some(("msg", message))
        }
        _ => None,
    }
}
