//! Gemini's generateContent and streamGenerateContent.

mod failure;
mod reply;
mod request;

use http::{HeaderMap, Method};
use serde_json::{Value, json};

pub(super) use self::{
    failure::{error_event, failure},
    reply::{frames, whole},
    request::read,
};
use super::{Framing, Route, fields::header_map};

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
