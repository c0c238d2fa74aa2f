//! What a recording of Anthropic's Messages holds.

use backstop_core::FaultKind;
use serde_json::Value;

use crate::{
    events::Event,
    expect::{Answer, Stream, arguments, count, json, list, text},
    expect_error as error,
};

pub(crate) fn whole(body: &Value) -> Result<Answer, FaultKind> {
    if body["type"] == "error" || (!body["content"].is_array() && body["error"].is_object()) {
        return Err(error::of_body(&body.to_string()));
    }
    if !body["content"].is_array() {
        return Err(FaultKind::Malformed);
    }
    let mut reader = Reader::default();
    reader.head(body);
    for block in list(&body["content"]) {
        reader.block(None, block);
    }
    reader.ended(&body["stop_reason"]);
    let mut answer = reader.finish();
    answer.usage = body["usage"].is_object().then(|| usage(&body["usage"]));
    Ok(answer)
}

#[derive(Default)]
pub(crate) struct Reader {
    answer: Answer,
    begun: bool,
    usage: Value,
    /// The place of each call's block, and what its pieces say.
    inputs: Vec<(Option<u64>, String)>,
}

impl Stream for Reader {
    fn event(&mut self, event: &Event) -> Result<bool, FaultKind> {
        if event.1.starts_with("[DONE]") {
            return Ok(false);
        }
        if event.0 == "error" {
            return Err(error::of_body(&event.1));
        }
        let Some(body) = json(event)? else {
            return Ok(false);
        };
        let place = Some(count(&body["index"]));
        match body["type"].as_str().unwrap_or(&event.0) {
            "message_start" if !self.begun => {
                self.begun = true;
                self.head(&body["message"]);
                self.count(&body["message"]["usage"]);
            }
            "content_block_start" => self.block(place, &body["content_block"]),
            "content_block_delta" => {
                let delta = &body["delta"];
                self.answer.text.push_str(&text(&delta["text"]));
                self.answer.thought.push_str(&text(&delta["thinking"]));
                let source = delta["citation"]["url"].as_str();
                self.answer.sources.extend(source.map(str::to_owned));
                let mut inputs = self.inputs.iter_mut().rev();
                if let Some((_, input)) = inputs.find(|(of, _)| *of == place) {
                    input.push_str(&text(&delta["partial_json"]));
                }
            }
            "message_delta" => {
                self.count(&body["usage"]);
                if self.answer.finish.is_empty() {
                    self.ended(&body["delta"]["stop_reason"]);
                }
            }
            "error" => return Err(error::of_body(&event.1)),
            "message_stop" if self.answer.finish.is_empty() => return Err(FaultKind::Malformed),
            "message_stop" => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    fn told(&self) -> &Answer {
        &self.answer
    }

    fn may_end(&self) -> bool {
        false
    }

    fn finish(self) -> Answer {
        let mut answer = self.answer;
        for (call, (_, input)) in answer.calls.iter_mut().zip(self.inputs) {
            if !input.is_empty() {
                call.2 = arguments(&Value::String(input));
            }
        }
        answer.usage = self.usage.is_object().then(|| usage(&self.usage));
        answer
    }
}

impl Reader {
    fn head(&mut self, message: &Value) {
        self.answer.id = text(&message["id"]);
        self.answer.model = text(&message["model"]);
    }

    fn block(&mut self, place: Option<u64>, block: &Value) {
        let answer = &mut self.answer;
        match block["type"].as_str().unwrap_or_default() {
            "text" => {
                answer.text.push_str(&text(&block["text"]));
                let cited = list(&block["citations"]).filter_map(|it| it["url"].as_str());
                answer.sources.extend(cited.map(str::to_owned));
            }
            "image" => answer.pictures.push(text(&block["source"]["data"])),
            "thinking" => answer.thought.push_str(&text(&block["thinking"])),
            "tool_use" => {
                let input = arguments(&block["input"]);
                let (name, id) = (text(&block["name"]), text(&block["id"]));
                answer.calls.push((name, id, input));
                self.inputs.push((place, String::new()));
            }
            _ => {}
        }
    }

    /// Later figures stand in the place of earlier ones: they are totals.
    fn count(&mut self, usage: &Value) {
        let told = usage.as_object().into_iter().flatten();
        for (name, figure) in told.filter(|(_, figure)| !figure.is_null()) {
            self.usage[name] = figure.clone();
        }
    }

    fn ended(&mut self, reason: &Value) {
        self.answer.finish = match text(reason).as_str() {
            "end_turn" | "stop_sequence" => "stop",
            "max_tokens" | "model_context_window_exceeded" => "length",
            "tool_use" => "tool_calls",
            "refusal" => "content_filter",
            "pause_turn" => "pause",
            other => other,
        }
        .to_owned();
    }
}

fn usage(usage: &Value) -> (u64, u64, u64, u64) {
    let cached = count(&usage["cache_read_input_tokens"]);
    let input = count(&usage["input_tokens"]) + count(&usage["cache_creation_input_tokens"]);
    let thoughts = count(&usage["output_tokens_details"]["thinking_tokens"]);
    (
        input + cached,
        cached,
        count(&usage["output_tokens"]),
        thoughts,
    )
}
