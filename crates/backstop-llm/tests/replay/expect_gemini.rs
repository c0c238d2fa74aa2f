//! What a recording of Gemini's holds.

use backstop_core::FaultKind;
use serde_json::Value;

use crate::{
    events::Event,
    expect::{Answer, Stream, arguments, count, json, list, says, text},
    expect_error as error,
};

/// A whole answer, or the list that a stream is to whom did not ask for events.
pub(crate) fn whole(body: &Value) -> Result<Answer, FaultKind> {
    let mut reader = Reader::default();
    match body {
        Value::Array(pieces) => pieces.iter().try_for_each(|piece| reader.piece(piece))?,
        one => reader.piece(one)?,
    }
    Ok(reader.finish())
}

#[derive(Default)]
pub(crate) struct Reader {
    answer: Answer,
    begun: bool,
}

impl Stream for Reader {
    fn event(&mut self, event: &Event) -> Result<bool, FaultKind> {
        let body = json(event)?;
        body.map_or(Ok(()), |piece| self.piece(&piece))?;
        Ok(false)
    }

    fn told(&self) -> &Answer {
        &self.answer
    }

    fn finish(self) -> Answer {
        self.answer
    }
}

impl Reader {
    fn piece(&mut self, piece: &Value) -> Result<(), FaultKind> {
        if says(&piece["error"]) {
            return Err(error::of_google(&piece.to_string()));
        }
        if piece["promptFeedback"]["blockReason"].is_string() {
            return Err(FaultKind::Filtered);
        }
        if !self.begun {
            self.begun = true;
            self.answer.id = text(&piece["responseId"]);
            self.answer.model = text(&piece["modelVersion"]);
        }
        for candidate in list(&piece["candidates"]).filter(|it| count(&it["index"]) == 0) {
            for part in list(&candidate["content"]["parts"]) {
                self.part(part);
            }
            let chunks = list(&candidate["groundingMetadata"]["groundingChunks"]);
            let named = chunks.filter_map(|chunk| chunk["web"]["uri"].as_str());
            self.answer.sources.extend(named.map(str::to_owned));
            self.ended(&candidate["finishReason"])?;
        }
        if piece["usageMetadata"].is_object() {
            let n = |name: &str| count(&piece["usageMetadata"][name]);
            self.answer.usage = Some((
                n("promptTokenCount") + n("toolUsePromptTokenCount"),
                n("cachedContentTokenCount"),
                n("candidatesTokenCount") + n("thoughtsTokenCount"),
                n("thoughtsTokenCount"),
            ));
        }
        Ok(())
    }

    fn part(&mut self, part: &Value) {
        let answer = &mut self.answer;
        let said = text(&part["text"]);
        if part["thought"] == true {
            answer.thought.push_str(&said);
        } else {
            answer.text.push_str(&said);
        }
        let data = &part["inlineData"];
        if text(&data["mimeType"]).starts_with("image/") {
            answer.pictures.push(text(&data["data"]));
        }
        let call = &part["functionCall"];
        if call.is_object() {
            let id = match text(&call["id"]) {
                none if none.is_empty() => format!("call_{}_{}", answer.id, answer.calls.len()),
                id => id,
            };
            let given = arguments(&call["args"]);
            answer.calls.push((text(&call["name"]), id, given));
        }
    }

    fn ended(&mut self, reason: &Value) -> Result<(), FaultKind> {
        // Some servers give the enumeration's number in place of its name.
        const NAMES: [&str; 12] = [
            "",
            "STOP",
            "MAX_TOKENS",
            "SAFETY",
            "RECITATION",
            "OTHER",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MALFORMED_FUNCTION_CALL",
            "IMAGE_SAFETY",
        ];
        let number = reason.as_u64().and_then(|n| usize::try_from(n).ok());
        let word = match number {
            Some(number) => NAMES.get(number).copied().unwrap_or("OTHER"),
            None => reason.as_str().unwrap_or_default(),
        };
        self.answer.finish = match word {
            "" => return Ok(()),
            "STOP" if self.answer.calls.is_empty() => "stop",
            "STOP" => "tool_calls",
            "MAX_TOKENS" => "length",
            "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
            | "MODEL_ARMOR" => "content_filter",
            "IMAGE_SAFETY" | "IMAGE_PROHIBITED_CONTENT" | "IMAGE_RECITATION" => "content_filter",
            // The model wrote what its server could not read.
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MALFORMED_RESPONSE"
            | "MISSING_THOUGHT_SIGNATURE" => {
                return Err(FaultKind::Malformed);
            }
            other => other,
        }
        .to_owned();
        Ok(())
    }
}
