//! Plain answers, read from a provider.

use backstop_core::{Fault, FaultKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error, part::read_part, stream::Reader};
use crate::{
    Choice, Citation, Completion, Dialect, Error, FinishReason, Json, Part, Usage,
    dialect::Decoder as _, json, lenient,
};

/// An answer, or one piece of a streamed one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireAnswer<'a> {
    #[serde(default, deserialize_with = "lenient::scalar")]
    pub(super) response_id: String,
    #[serde(default, deserialize_with = "lenient::scalar")]
    pub(super) model_version: String,
    #[serde(default)]
    pub(super) candidates: Option<Vec<WireCandidate>>,
    #[serde(default, deserialize_with = "lenient::any")]
    pub(super) prompt_feedback: Feedback,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(super) usage_metadata: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Why a prompt was not answered.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Feedback {
    block_reason: Option<String>,
    block_reason_message: Option<String>,
}

/// One of the answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireCandidate {
    #[serde(default, deserialize_with = "lenient::scalar")]
    pub(super) index: u32,
    #[serde(default, deserialize_with = "lenient::any")]
    pub(super) content: WireContent,
    #[serde(default, deserialize_with = "lenient::any")]
    pub(super) finish_reason: Option<Word>,
    #[serde(default, deserialize_with = "lenient::any")]
    pub(super) grounding_metadata: Grounding,
}

/// The value of an enumeration: its name or, from some servers, its number.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Word {
    Name(String),
    Number(u64),
}

/// What was said. It may lack its parts.
#[derive(Default, Deserialize)]
pub(super) struct WireContent {
    #[serde(default)]
    pub(super) parts: Vec<Json>,
}

/// What an answer is based on.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Grounding {
    #[serde(default)]
    grounding_chunks: Vec<Json>,
}

/// Usage on the wire: thoughts stand beside the output, and what tools read beside the input.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireUsage {
    #[serde(deserialize_with = "lenient::scalar")]
    prompt_token_count: u64,
    #[serde(deserialize_with = "lenient::scalar")]
    tool_use_prompt_token_count: u64,
    #[serde(deserialize_with = "lenient::scalar")]
    cached_content_token_count: u64,
    #[serde(deserialize_with = "lenient::scalar")]
    candidates_token_count: u64,
    #[serde(deserialize_with = "lenient::scalar")]
    thoughts_token_count: u64,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Self {
            input: wire
                .prompt_token_count
                .saturating_add(wire.tool_use_prompt_token_count),
            cached: wire.cached_content_token_count,
            cache_write: 0,
            output: wire
                .candidates_token_count
                .saturating_add(wire.thoughts_token_count),
            reasoning: wire.thoughts_token_count,
        }
    }
}

impl Grounding {
    pub(super) fn citations(&self) -> impl Iterator<Item = Citation> {
        #[derive(Default, Deserialize)]
        struct Chunk {
            #[serde(default)]
            web: Web,
        }
        #[derive(Default, Deserialize)]
        struct Web {
            uri: Option<String>,
            title: Option<String>,
        }
        self.grounding_chunks.iter().map(|json| {
            let Chunk { web } = json.read().unwrap_or_default();
            Citation {
                url: web.uri,
                title: web.title,
                text: None,
                native: Some((Dialect::Gemini, json.clone())),
            }
        })
    }
}

impl<'a> WireAnswer<'a> {
    /// Reads one, where it is an answer and not an error or a refusal to answer at all.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Error> {
        let answer: Self = json::answer(body)?;
        if answer.error.is_some_and(|raw| raw.get() != "null") {
            return Err(error::classify(None, body));
        }
        match &answer.prompt_feedback {
            Feedback {
                block_reason: Some(reason),
                block_reason_message,
            } => {
                let message = block_reason_message.as_deref().unwrap_or(reason);
                let fault = Fault::new(FaultKind::Filtered).because("prompt blocked");
                Err(Error::new(fault, message).with_code(reason.clone()))
            }
            _ => Ok(answer),
        }
    }
}

/// Reads a finish reason. There is none for a tool call, which is told by its presence.
pub(super) fn read_finish(word: &Word, called: bool) -> Result<FinishReason, Error> {
    let word = match word {
        Word::Name(name) => name,
        Word::Number(1) => "STOP",
        Word::Number(2) => "MAX_TOKENS",
        Word::Number(3) => "SAFETY",
        Word::Number(4) => "RECITATION",
        Word::Number(6) => "LANGUAGE",
        Word::Number(7) => "BLOCKLIST",
        Word::Number(8) => "PROHIBITED_CONTENT",
        Word::Number(9) => "SPII",
        Word::Number(10) => "MALFORMED_FUNCTION_CALL",
        Word::Number(11) => "IMAGE_SAFETY",
        Word::Number(_) => "OTHER",
    };
    Ok(match word {
        "STOP" if called => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "LANGUAGE"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::ContentFilter,
        // The model wrote a call that its server could not read: another try or model may do.
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE" => {
            return Err(
                Error::malformed("the model ended its answer with an error").with_code(word)
            );
        }
        other => FinishReason::Other(other.to_owned()),
    })
}

pub(super) fn decode(body: &[u8]) -> Result<Completion, Error> {
    if body.trim_ascii_start().starts_with(b"[") {
        return decode_list(body);
    }
    let answer = WireAnswer::read(body)?;
    let Some(candidates) = answer.candidates.filter(|list| !list.is_empty()) else {
        return Err(Error::malformed("the answer has no candidates"));
    };
    let id = answer.response_id;
    let choices = candidates
        .into_iter()
        .map(|candidate| read_candidate(candidate, &id));
    Ok(Completion {
        choices: choices.collect::<Result<_, _>>()?,
        id,
        model: answer.model_version,
        created: None,
        usage: answer.usage_metadata.map(Usage::from),
    })
}

/// Reads the list that a stream is to whom did not ask for events.
fn decode_list(body: &[u8]) -> Result<Completion, Error> {
    let pieces: Vec<&RawValue> = json::answer(body)?;
    let mut reader = Reader::default();
    let mut events = Vec::new();
    for piece in pieces {
        reader.answer(WireAnswer::read(piece.get().as_bytes())?, &mut events)?;
    }
    if !reader.is_whole() {
        return Err(Error::malformed("the answer does not say why it ended"));
    }
    Ok(events.into_iter().collect())
}

fn read_candidate(candidate: WireCandidate, response: &str) -> Result<Choice, Error> {
    let mut content = Vec::new();
    for part in &candidate.content.parts {
        read_part(part, response, &mut content);
    }
    let last_text = content.iter_mut().rev().find_map(|part| match part {
        Part::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(citations) = last_text {
        citations.extend(candidate.grounding_metadata.citations());
    }
    let called = content.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let Some(word) = candidate.finish_reason else {
        return Err(Error::malformed("the answer does not say why it ended"));
    };
    let mut choice = Choice::new(candidate.index, read_finish(&word, called)?);
    choice.content = content;
    Ok(choice)
}
