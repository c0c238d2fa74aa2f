//! What is known of the families of models.
//!
//! Only what differs from the dialect's own words is listed, by the beginning of the model's name
//! after any vendor prefix; the first line that fits counts.

use super::{Abilities, Need, Needs, Resumes};
use crate::Dialect;

pub(super) fn abilities(dialect: Dialect, model: &str) -> Abilities {
    let name = base_name(model);
    match dialect {
        Dialect::Anthropic => anthropic(name),
        Dialect::Gemini => gemini(name),
        Dialect::OpenAi => openai(name),
        Dialect::Responses => responses(name),
    }
}

/// A model's name without what stands before it: `anthropic/claude-…` at a router, `models/gemini-…`
/// at Google.
pub(crate) fn base_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

fn anthropic(name: &str) -> Abilities {
    let base = Abilities {
        can: Needs::ALL.minus(Needs::of(&[
            Need::Audio,
            Need::Choices,
            Need::Fields,
            Need::JsonMode,
            Need::Logprobs,
            Need::Native,
            Need::Penalties,
            Need::Seed,
        ])),
        max_temperature: 100,
        context_window: Some(200_000),
        max_output: Some(64_000),
        resumes: Resumes::Prefill,
    };
    let starts = |names: &[&str]| names.iter().any(|n| name.starts_with(n));
    if starts(&["claude-2", "claude-instant"]) {
        return base
            .without(Need::Images)
            .without(Need::Documents)
            .without(Need::Reasoning)
            .without(Need::JsonSchema)
            .with_max_output(4096);
    }
    if starts(&["claude-3-7"]) {
        return base.without(Need::JsonSchema);
    }
    if starts(&["claude-3-5"]) {
        return base
            .without(Need::Reasoning)
            .without(Need::JsonSchema)
            .with_max_output(8192);
    }
    if starts(&["claude-3"]) {
        return base
            .without(Need::Reasoning)
            .without(Need::JsonSchema)
            .with_max_output(4096);
    }
    if starts(&["claude-opus-4-1", "claude-opus-4-0", "claude-opus-4-2025"]) {
        return base.with_max_output(32_000);
    }
    let older = [
        "claude-haiku-4-5",
        "claude-opus-4-5",
        "claude-sonnet-4-0",
        "claude-sonnet-4-2025",
        "claude-sonnet-4-5",
    ];
    if starts(&older) || !name.starts_with("claude-") {
        return base;
    }
    // From 4.6 on a begun answer is refused, from 4.7 on sampling is the model's own affair.
    let newer = base.without(Need::Prefill).resuming(Resumes::Instruction);
    if starts(&["claude-opus-4-6", "claude-sonnet-4-6"]) {
        return newer;
    }
    newer
        .without(Need::Temperature)
        .without(Need::TopP)
        .without(Need::TopK)
}

fn gemini(name: &str) -> Abilities {
    let base = Abilities {
        can: Needs::ALL.minus(Needs::of(&[
            Need::Fields,
            Need::Native,
            Need::Prefill,
            Need::SingleToolCalls,
        ])),
        max_temperature: 200,
        context_window: Some(1_048_576),
        max_output: None,
        resumes: Resumes::Instruction,
    };
    let starts = |names: &[&str]| names.iter().any(|n| name.starts_with(n));
    if starts(&["gemini-1", "gemini-2.0"]) {
        return base.without(Need::Reasoning).with_max_output(8192);
    }
    base.with_max_output(65_536)
}

fn openai(name: &str) -> Abilities {
    let base = Abilities {
        can: Needs::ALL.minus(Needs::of(&[Need::Fields, Need::Native, Need::Prefill])),
        max_temperature: 200,
        context_window: None,
        max_output: None,
        resumes: Resumes::Instruction,
    };
    let starts = |names: &[&str]| names.iter().any(|n| name.starts_with(n));
    let reasons =
        starts(&["o1", "o3", "o4"]) || (name.starts_with("gpt-5") && !name.contains("-chat"));
    if reasons {
        return base
            .without(Need::Temperature)
            .without(Need::TopP)
            .without(Need::TopK)
            .without(Need::Penalties)
            .without(Need::Logprobs)
            .with_context_window(if name.starts_with('o') {
                200_000
            } else {
                400_000
            });
    }
    let openai = base.without(Need::TopK).without(Need::Reasoning);
    if starts(&["gpt-4.1"]) {
        return openai
            .with_context_window(1_047_576)
            .with_max_output(32_768);
    }
    if starts(&["gpt-4o", "chatgpt-4o"]) {
        return openai.with_context_window(128_000).with_max_output(16_384);
    }
    if starts(&["gpt-4-turbo"]) {
        return openai.with_context_window(128_000).with_max_output(4096);
    }
    if starts(&["gpt-4"]) {
        return openai.with_context_window(8192).without(Need::Images);
    }
    if starts(&["gpt-3.5"]) {
        return openai.with_context_window(16_385).without(Need::Images);
    }
    if starts(&["gpt-"]) {
        return openai;
    }
    base
}

/// The same models as by Chat Completions, by an interface that lacks some of its fields.
fn responses(name: &str) -> Abilities {
    openai(name)
        .without(Need::Audio)
        .without(Need::Choices)
        .without(Need::Penalties)
        .without(Need::Seed)
        .without(Need::Stop)
}

/// Whether a Claude model decides by itself how much to think, within an effort: those from 4.6
/// on. Earlier ones are given a budget.
pub(crate) fn thinks_adaptively(model: &str) -> bool {
    let name = base_name(model);
    name.starts_with("claude-") && anthropic(name).resumes == Resumes::Instruction
}
