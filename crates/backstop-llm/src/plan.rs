//! What a candidate is asked, where that differs from what the caller asked.

use std::borrow::Cow;

use backstop_core::{Fault, FaultKind};

use crate::{
    Abilities, Chat, ChatRequest, Dialect, Error, Message, Need, Needs, Part, ResponseFormat,
    Resumes, Role, abilities,
};

/// What a candidate is asked, where that differs from what the caller asked: its model's name, a
/// system prompt of its own, what may be lost, an answer to go on with.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// The model to ask, instead of the caller's.
    pub model: Option<String>,
    /// The system prompt, instead of the caller's.
    pub system: Option<String>,
    /// Messages to be added at the end, for the model to go on with an answer.
    pub append: Vec<Message>,
    /// Whether the server must be told to go on with the last message.
    pub continue_final_message: bool,
    /// The limit of tokens, instead of the caller's.
    pub max_tokens: Option<u64>,
    /// What is left out, by the operator's leave.
    pub lost: Needs,
    /// Whether the usage is asked for at the end of a stream although the caller did not: for
    /// OpenAI's dialect, where it comes only on request.
    pub stream_usage: bool,
    /// How many tokens an answer of this model may have: for dialects that insist on a limit.
    pub max_output: Option<u64>,
}

impl Plan {
    /// What is left of a request when this dialect's candidate takes it, and what is added.
    ///
    /// # Errors
    ///
    /// The candidate can't do what is asked (`Refused`, with the reason), or not at this length
    /// (`TooLarge`).
    pub fn new(
        request: &ChatRequest,
        dialect: Dialect,
        abilities: &Abilities,
        allow_loss: Needs,
    ) -> Result<Self, Error> {
        let chat = request.chat();
        let mut can = abilities.can;
        let limit = f64::from(abilities.max_temperature) / 100.0;
        if chat.sampling.temperature.is_some_and(|t| t > limit) {
            can = can.without(Need::Temperature);
        }
        // How likely each token was is only told in the words of the provider's own dialect.
        if chat.extra_dialect.unwrap_or(Dialect::OpenAi) != dialect {
            can = can.without(Need::Logprobs);
        }
        let lacks = abilities::needs(chat, dialect).minus(can);
        if let Some(need) = lacks.minus(allow_loss).iter().next() {
            return Err(lacking(need, chat, dialect));
        }
        if let Some(window) = abilities.context_window {
            let tokens = abilities::estimate_tokens(chat, dialect);
            if tokens > window {
                let fault = Fault::new(FaultKind::TooLarge).because(DOES_NOT_FIT);
                let message =
                    format!("the request has about {tokens} tokens and the model takes {window}");
                return Err(Error::new(fault, message).with_code("context_length_exceeded"));
            }
        }
        let mut plan = Self {
            lost: lacks,
            max_output: abilities.max_output,
            ..Self::default()
        };
        if let Some(resume) = request.resume() {
            plan.max_tokens = resume.max_tokens;
            let partial = resume.partial.trim_end();
            match abilities.resumes {
                Resumes::Never => return Err(Error::refused("does not continue answers")),
                Resumes::Prefill => plan.append = vec![Message::text(Role::Assistant, partial)],
                Resumes::ContinueFinalMessage => {
                    plan.append = vec![Message::text(Role::Assistant, &resume.partial)];
                    plan.continue_final_message = true;
                }
                Resumes::Instruction => {
                    plan.append = vec![
                        Message::text(Role::Assistant, partial),
                        Message::text(Role::User, instruction(partial)),
                    ];
                }
            }
        }
        Ok(plan)
    }

    /// Whether the caller's own bytes can be sent, changed in a few fields at the top only.
    #[must_use]
    pub fn keeps_original(&self) -> bool {
        self.lost.is_empty()
    }

    /// The request as the candidate is asked it, in shared words.
    #[must_use]
    pub fn chat<'a>(&self, request: &'a ChatRequest) -> Cow<'a, Chat> {
        let mut chat = Cow::Borrowed(request.chat());
        if let Some(model) = &self.model {
            if *model != chat.model {
                chat.to_mut().model.clone_from(model);
            }
        }
        if let Some(max_tokens) = self.max_tokens {
            chat.to_mut().max_tokens = Some(max_tokens);
        }
        if let Some(system) = &self.system {
            let chat = chat.to_mut();
            chat.messages.retain(|message| !message.role.is_operator());
            chat.messages.insert(0, Message::text(Role::System, system));
        }
        if !self.append.is_empty() {
            let chat = chat.to_mut();
            chat.messages.extend(self.append.iter().cloned());
            chat.continue_final_message |= self.continue_final_message;
        }
        if !self.lost.is_empty() {
            lose(chat.to_mut(), self.lost);
        }
        chat
    }
}

/// Why a candidate is passed over whose model is too small for the request.
pub(crate) const DOES_NOT_FIT: &str = "does not fit the context";

/// A candidate of this dialect lacks what the request needs.
fn lacking(need: Need, chat: &Chat, dialect: Dialect) -> Error {
    let error = Error::refused(need.reason());
    let Some(field) = abilities::lost_field(chat, dialect).filter(|_| need == Need::Fields) else {
        return error;
    };
    let message = match field {
        "background" => "`background` is not taken: an answer is only given to who waits for it",
        "conversation" | "previous_response_id" => {
            "earlier answers are not kept here: send the whole conversation as `input`"
        }
        _ => "does not know a field of the request",
    };
    error
        .with_message(format!("`{field}`: {message}"))
        .with_param(field)
}

/// What a model is told that can't simply go on with a message. It is asked to begin with the last
/// words once more, because by them the seam can be found, down to the white space.
fn instruction(partial: &str) -> String {
    const WORDS: usize = 60;
    let start = (partial.len().saturating_sub(WORDS)..partial.len())
        .find(|i| partial.is_char_boundary(*i))
        .unwrap_or_default();
    let tail = &partial[start..];
    let tail = match tail.find(char::is_whitespace) {
        Some(space) if start > 0 && space < tail.len() / 2 => tail[space..].trim_start(),
        _ => tail,
    };
    format!(
        "Your last message was cut off after these words:\n\n{tail}\n\nGo on with it. Begin with \
         exactly these words, and then write what comes next, in the same language and format. \
         Write nothing before them and no comment on the interruption."
    )
}

/// Leaves out what the candidate lacks.
fn lose(chat: &mut Chat, lost: Needs) {
    for need in lost.iter() {
        let sampling = &mut chat.sampling;
        match need {
            Need::Audio => parts(chat, |part| !matches!(part, Part::Audio(_))),
            Need::Choices => sampling.n = None,
            Need::Documents => parts(chat, |part| !matches!(part, Part::Document(_))),
            // Each dialect writes its own unknown fields and parts only, so these fall away.
            Need::Fields => {}
            Need::Native => {
                let answers = chat.messages.iter_mut();
                for message in answers.filter(|message| message.role == Role::Assistant) {
                    message
                        .content
                        .retain(|part| !matches!(part, Part::Image(_)));
                }
            }
            Need::ForcedTools => chat.tool_choice = None,
            Need::Images => parts(chat, |part| !matches!(part, Part::Image(_))),
            Need::JsonMode | Need::JsonSchema => chat.format = ResponseFormat::Text,
            Need::Logprobs => {
                sampling.logprobs = None;
                sampling.top_logprobs = None;
            }
            Need::Penalties => {
                sampling.presence_penalty = None;
                sampling.frequency_penalty = None;
            }
            // The begun message stays as history.
            Need::Prefill => chat.continue_final_message = false,
            Need::Reasoning => chat.reasoning = None,
            Need::Seed => sampling.seed = None,
            Need::SingleToolCalls => chat.parallel_tool_calls = None,
            Need::Stop => chat.stop.clear(),
            Need::System => chat.messages.retain(|message| !message.role.is_operator()),
            Need::Temperature => sampling.temperature = None,
            Need::Tools => {
                chat.tools.clear();
                chat.tool_choice = None;
                parts(chat, |part| {
                    !matches!(part, Part::ToolCall(_) | Part::ToolResult(_))
                });
            }
            Need::TopK => sampling.top_k = None,
            Need::TopP => sampling.top_p = None,
        }
    }
}

/// Keeps the parts of all messages that `keep` says, and no message that is then empty.
fn parts(chat: &mut Chat, keep: impl Fn(&Part) -> bool) {
    for message in &mut chat.messages {
        message.content.retain(&keep);
        for part in &mut message.content {
            if let Part::ToolResult(result) = part {
                result.content.retain(&keep);
            }
        }
    }
    chat.messages.retain(|message| !message.content.is_empty());
}
