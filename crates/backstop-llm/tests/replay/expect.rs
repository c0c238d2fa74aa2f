//! What a recording holds, read in the simplest way: as loose JSON, and a stream as the list of its
//! events.

use backstop_core::FaultKind;
use backstop_llm::Dialect;
use serde_json::Value;

use crate::{
    events::{Event, events},
    expect_anthropic as anthropic, expect_error as error, expect_gemini as gemini,
    expect_openai as openai, expect_responses as responses,
    recording::Recording,
};

/// What a service should make of a recording, unless it is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) text: String,
    pub(crate) thought: String,
    pub(crate) refusal: String,
    /// Name, id and arguments of each tool call.
    pub(crate) calls: Vec<(String, String, Value)>,
    /// The bytes of each picture, in base64.
    pub(crate) pictures: Vec<String>,
    /// The address of each source that was named.
    pub(crate) sources: Vec<String>,
    pub(crate) finish: String,
    /// Input, cached, output, thoughts.
    pub(crate) usage: Option<(u64, u64, u64, u64)>,
}

impl Answer {
    /// Whether a caller would see anything of it.
    pub(crate) fn has_content(&self) -> bool {
        let texts = [&self.text, &self.thought, &self.refusal];
        texts.iter().any(|text| !text.is_empty())
            || !self.calls.is_empty()
            || !self.pictures.is_empty()
            || !self.sources.is_empty()
    }

    /// What a failure is at this point: once something has been seen, an interruption.
    pub(crate) fn broken(&self, kind: FaultKind) -> FaultKind {
        if self.has_content() {
            FaultKind::Interrupted
        } else {
            kind
        }
    }

    /// Whether it is none at all. A model may have nothing to say, but then its provider counts the
    /// tokens that took.
    fn is_nothing(&self) -> bool {
        let counted = self.usage.is_some_and(|(.., output, _)| output > 0);
        self.finish == "stop" && !self.has_content() && !counted
    }
}

/// How a stream is read.
pub(crate) trait Stream: Default {
    /// Adds an event; true where it is the last.
    fn event(&mut self, event: &Event) -> Result<bool, FaultKind>;

    /// What has been said.
    fn told(&self) -> &Answer;

    /// Whether a stream that just ends here is whole, where no event says that it is the last.
    fn may_end(&self) -> bool {
        !self.told().finish.is_empty()
    }

    /// The whole.
    fn finish(self) -> Answer;
}

/// What the recording of a provider of this dialect holds.
pub(crate) fn read(recording: &Recording, dialect: Dialect) -> Result<Answer, FaultKind> {
    if let Some(kind) = error::of_status(recording.status(), &recording.body(), dialect) {
        return Err(kind);
    }
    let answer = answer(recording, dialect)?;
    if answer.is_nothing() {
        return Err(FaultKind::Malformed);
    }
    Ok(answer)
}

/// What was answered, which says why it ended.
pub(crate) fn answer(recording: &Recording, dialect: Dialect) -> Result<Answer, FaultKind> {
    let body = recording.body();
    // Some answer as a whole although they were asked for a stream.
    let whole = ["{", "[", "<"];
    let whole = whole.iter().any(|it| body.trim_start().starts_with(it));
    let answer = if whole || !recording.is_streamed() {
        let body: Value = serde_json::from_str(&body).map_err(|_| FaultKind::Malformed)?;
        if recording.is_cut() {
            return Err(FaultKind::Malformed);
        }
        match dialect {
            Dialect::Anthropic => anthropic::whole(&body),
            Dialect::Gemini => gemini::whole(&body),
            Dialect::Responses => responses::whole(&body),
            _ => openai::whole(&body),
        }
    } else {
        let events = events(&body);
        let cut = recording.is_cut();
        match dialect {
            Dialect::Anthropic => stream::<anthropic::Reader>(&events, cut),
            Dialect::Gemini => stream::<gemini::Reader>(&events, cut),
            Dialect::Responses => stream::<responses::Reader>(&events, cut),
            _ => stream::<openai::Reader>(&events, cut),
        }
    };
    let answer = answer?;
    if answer.finish.is_empty() {
        return Err(FaultKind::Malformed);
    }
    Ok(answer)
}

fn stream<R: Stream>(events: &[Event], cut: bool) -> Result<Answer, FaultKind> {
    let mut reader = R::default();
    for event in events {
        match reader.event(event) {
            Ok(true) => return Ok(reader.finish()),
            Ok(false) => {}
            Err(kind) => return Err(reader.told().broken(kind)),
        }
    }
    if cut || !reader.may_end() {
        return Err(reader.told().broken(FaultKind::Malformed));
    }
    Ok(reader.finish())
}

/// The JSON of an event; none where it is empty.
pub(crate) fn json((_, data): &Event) -> Result<Option<Value>, FaultKind> {
    if data.is_empty() {
        return Ok(None);
    }
    let json = serde_json::from_str(data).map_err(|_| FaultKind::Malformed)?;
    Ok(Some(json))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A count, which some write with a fraction of nothing.
pub(crate) fn count(value: &Value) -> u64 {
    let whole = |n: &f64| *n >= 0.0 && n.fract() == 0.0;
    let loose = value.as_f64().filter(whole).map(|n| n as u64);
    value.as_u64().or(loose).unwrap_or(0)
}

/// Whether a value says anything: servers that leave no field out write an empty one for none.
pub(crate) fn says(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// Arguments as JSON, so that spaces don't matter; what is no JSON as text.
pub(crate) fn arguments(value: &Value) -> Value {
    match value {
        Value::Null => serde_json::json!({}),
        Value::String(text) if text.is_empty() => serde_json::json!({}),
        Value::String(text) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
        }
        other => other.clone(),
    }
}
