//! What a recording of Gemini's holds.

use backstop_core::FaultKind;
use serde_json::Value;

use crate::{
    expect::{Answer, datas, error_kind, text},
    recording::Recording,
};

pub(crate) fn gemini(recording: &Recording) -> Result<Answer, FaultKind> {
    if let Some(kind) = error_kind(recording) {
        return Err(match kind {
            FaultKind::RateLimited if recording.body().contains("PerDay") => {
                FaultKind::QuotaExhausted
            }
            FaultKind::Unavailable if recording.body().contains("is overloaded") => {
                FaultKind::Overloaded
            }
            kind => kind,
        });
    }
    let body = recording.body();
    // A stream is events, or one list where no events were asked for.
    let pieces: Vec<Value> = match serde_json::from_str(body) {
        Ok(Value::Array(list)) => list,
        Ok(one) => vec![one],
        Err(_) => datas(body)
            .filter_map(|data| serde_json::from_str(&data).ok())
            .collect(),
    };
    let mut answer = Answer::default();
    for piece in &pieces {
        if answer.id.is_empty() {
            answer.id = text(&piece["responseId"]);
            answer.model = text(&piece["modelVersion"]);
        }
        let candidate = &piece["candidates"][0];
        for part in candidate["content"]["parts"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let said = text(&part["text"]);
            if part["thought"] == true {
                answer.thought.push_str(&said);
            } else {
                answer.text.push_str(&said);
            }
            answer
                .pictures
                .extend(part["inlineData"]["data"].as_str().map(str::to_owned));
            if let Some(call) = part.get("functionCall") {
                let made_up = format!("call_{}_{}", answer.id, answer.calls.len());
                let id = call["id"].as_str().map_or(made_up, str::to_owned);
                answer
                    .calls
                    .push((text(&call["name"]), id, call["args"].clone()));
            }
        }
        let chunks = candidate["groundingMetadata"]["groundingChunks"].as_array();
        let chunks = chunks.into_iter().flatten();
        let named = chunks.filter_map(|chunk| chunk["web"]["uri"].as_str());
        answer.sources.extend(named.map(str::to_owned));
        // One recording has the enumeration's number in place of its name.
        let word = match &candidate["finishReason"] {
            Value::Number(one) if one.as_u64() == Some(1) => Some("STOP"),
            word => word.as_str(),
        };
        if let Some(word) = word {
            answer.finish = match word {
                "STOP" if answer.calls.is_empty() => "stop",
                "STOP" => "tool_calls",
                "MAX_TOKENS" => "length",
                "SAFETY" | "RECITATION" | "MODEL_ARMOR" | "PROHIBITED_CONTENT" => "content_filter",
                other => other,
            }
            .to_owned();
        }
        if let Some(usage) = piece.get("usageMetadata") {
            let n = |name: &str| usage[name].as_u64().unwrap_or(0);
            answer.usage = Some((
                n("promptTokenCount") + n("toolUsePromptTokenCount"),
                n("cachedContentTokenCount"),
                n("candidatesTokenCount") + n("thoughtsTokenCount"),
                n("thoughtsTokenCount"),
            ));
        }
    }
    Ok(answer)
}
