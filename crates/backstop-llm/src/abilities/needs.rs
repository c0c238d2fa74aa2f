//! What a request needs, read off it.

use super::{Need, Needs};
use crate::{Chat, Dialect, Part, ResponseFormat, Role, Source, Tool, ToolChoice};

/// What a request needs of a candidate of dialect `target` beyond text.
///
/// What asks for the ordinary is no need: a penalty of zero, one answer, no log probabilities.
#[must_use]
pub fn needs(chat: &Chat, target: Dialect) -> Needs {
    let mut needs = Needs::NONE;
    let mut need = |is: bool, what: Need| {
        if is {
            needs = needs.with(what);
        }
    };
    for message in &chat.messages {
        need(message.role.is_operator(), Need::System);
        for part in &message.content {
            part_needs(part, target, &mut need);
            // Of a model's own pictures only Google's dialect tells, and whoever made them.
            let made = message.role == Role::Assistant && matches!(part, Part::Image(_));
            let known = target == Dialect::Gemini || chat.extra_dialect == Some(target);
            need(made && !known, Need::Native);
        }
    }
    need(is_prefilled(chat, target), Need::Prefill);
    for tool in &chat.tools {
        match tool {
            Tool::Function(_) => need(true, Need::Tools),
            Tool::Native { dialect, .. } => need(*dialect != target, Need::Native),
        }
    }
    let forced = matches!(
        chat.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_))
    );
    need(forced, Need::ForcedTools);
    let single = chat.parallel_tool_calls == Some(false) && !chat.tools.is_empty();
    need(single, Need::SingleToolCalls);
    match &chat.format {
        ResponseFormat::Text => {}
        ResponseFormat::Json => need(true, Need::JsonMode),
        ResponseFormat::Schema { .. } => need(true, Need::JsonSchema),
    }
    let sampling = &chat.sampling;
    need(sampling.temperature.is_some(), Need::Temperature);
    need(sampling.top_p.is_some_and(|p| p != 1.0), Need::TopP);
    need(sampling.top_k.is_some(), Need::TopK);
    let penalised = |penalty: Option<f64>| penalty.is_some_and(|p| p != 0.0);
    need(penalised(sampling.presence_penalty), Need::Penalties);
    need(penalised(sampling.frequency_penalty), Need::Penalties);
    need(sampling.seed.is_some(), Need::Seed);
    need(sampling.n.is_some_and(|n| n > 1), Need::Choices);
    need(sampling.logprobs == Some(true), Need::Logprobs);
    need(!chat.stop.is_empty(), Need::Stop);
    let thinks = chat.reasoning.as_ref().is_some_and(|it| {
        !it.is_off() && (it.mode.is_some() || it.effort.is_some() || it.budget.is_some())
    });
    need(thinks, Need::Reasoning);
    need(lost_field(chat, target).is_some(), Need::Fields);
    needs
}

/// A field that a candidate of dialect `target` does not know, and that bears on the answer.
pub(crate) fn lost_field(chat: &Chat, target: Dialect) -> Option<&str> {
    let foreign = chat.extra_dialect.is_some_and(|own| own != target);
    let mut names = chat.extra.iter().map(|(name, _)| name.as_str());
    let shared = chat.verbosity(target).map(|_| "verbosity");
    names.find(|name| foreign && !INDIFFERENT.contains(name) && shared != Some(name))
}

/// Fields of one dialect that do not bear on the answer: what is stored where, how it is billed,
/// what is cached. A candidate of another dialect may answer without them.
const INDIFFERENT: [&str; 15] = [
    "betas",
    "container",
    "cache_control",
    "client_metadata",
    "include",
    "labels",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "inference_geo",
];

fn part_needs(part: &Part, target: Dialect, need: &mut impl FnMut(bool, Need)) {
    match part {
        Part::Audio(_) => need(true, Need::Audio),
        Part::Document(document) => {
            need(true, Need::Documents);
            // Chat Completions only take a file's bytes.
            let linked = matches!(document.source, Source::Url(_));
            need(linked && target == Dialect::OpenAi, Need::Native);
        }
        Part::Image(_) => need(true, Need::Images),
        Part::Native { dialect, .. } => need(*dialect != target, Need::Native),
        Part::ToolCall(_) => need(true, Need::Tools),
        Part::ToolResult(result) => {
            need(true, Need::Tools);
            for part in &result.content {
                part_needs(part, target, need);
            }
        }
        Part::Refusal(_) | Part::Text { .. } | Part::Thinking(_) => {}
    }
}

/// Whether the conversation ends with a message of the assistant's that the model is to go on
/// with. Anthropic's dialect means that by it; elsewhere such a message is history.
fn is_prefilled(chat: &Chat, target: Dialect) -> bool {
    let last = chat.messages.last().map(|message| message.role);
    let means_it = chat.continue_final_message
        || chat.extra_dialect == Some(Dialect::Anthropic)
        || target == Dialect::Anthropic;
    means_it && last == Some(Role::Assistant)
}
