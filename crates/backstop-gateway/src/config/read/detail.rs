//! What is said of a candidate's model beyond its name.

use backstop_llm::{Abilities, Commit, Need, Needs, Resumes};

use crate::config::{
    Target,
    nearest::nearest,
    reader::{Table, Value},
};

/// What a model says of all its candidates, and each candidate may say otherwise.
#[derive(Clone, Copy, Default)]
pub(super) struct Standard {
    pub(super) allow_loss: Needs,
    pub(super) commit: Commit,
    pub(super) validate: bool,
}

impl Standard {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let allow_loss = table.get("allow_loss").map(|value| needs(&value));
        let commit = table.get("commit").and_then(|value| commit(&value));
        let validate = table.get("validate").and_then(|value| validate(&value));
        Self {
            allow_loss: allow_loss.unwrap_or_default(),
            commit: commit.unwrap_or_default(),
            validate: validate.unwrap_or_default(),
        }
    }
}

/// Reads them into `target`.
pub(super) fn details(table: &mut Table<'_>, target: &mut Target) {
    let Target::Provider {
        abilities,
        allow_loss,
        commit: at,
        validate: validates,
        system,
        ..
    } = target
    else {
        return;
    };
    let tokens = |value: Value<'_>| value.integer(1..=u64::MAX);
    if let Some(window) = table.get("context_window").and_then(tokens) {
        *abilities = abilities.with_context_window(window);
    }
    if let Some(output) = table.get("max_output").and_then(tokens) {
        *abilities = abilities.with_max_output(output);
    }
    let can = table.get("can").map(|value| needs(&value));
    let can = can.unwrap_or_default();
    *abilities = can.iter().fold(*abilities, Abilities::with);
    if let Some(value) = table.get("lacks") {
        let lacks = needs(&value);
        *abilities = lacks.iter().fold(*abilities, Abilities::without);
        if let Some(both) = lacks.iter().find(|need| can.contains(*need)) {
            let both = both.as_str();
            value.problem(
                format_args!("has \"{both}\", as `can` does"),
                "leave it in one of them",
            );
        }
    }
    if let Some(resumes) = table.get("resumes").and_then(|value| resumes(&value)) {
        *abilities = abilities.resuming(resumes);
    }
    if let Some(value) = table.get("allow_loss") {
        *allow_loss = needs(&value);
    }
    if let Some(commit) = table.get("commit").and_then(|value| commit(&value)) {
        *at = commit;
    }
    if let Some(validate) = table.get("validate").and_then(|value| validate(&value)) {
        *validates = validate;
    }
    *system = table.get("system").and_then(|value| value.string());
}

/// A list of what a request may need: `["images", "json_schema"]`.
fn needs(value: &Value<'_>) -> Needs {
    let known = Need::ALL.map(Need::as_str);
    let read = |item: Value<'_>| {
        let text = item.string()?;
        let need = text.parse().ok();
        if need.is_none() {
            let instead = match nearest(&text, &known) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("known: {}", known.join(", ")),
            };
            item.problem(
                format_args!("is nothing a request may need: \"{text}\""),
                instead,
            );
        }
        need
    };
    let items = value.array().unwrap_or_default();
    items.into_iter().filter_map(read).collect()
}

/// How a model goes on with an answer that broke off.
fn resumes(value: &Value<'_>) -> Option<Resumes> {
    const ALL: [(&str, Resumes); 4] = [
        ("continue_final_message", Resumes::ContinueFinalMessage),
        ("instruction", Resumes::Instruction),
        ("never", Resumes::Never),
        ("prefill", Resumes::Prefill),
    ];
    let text = value.string()?;
    let found = ALL.iter().find(|(name, _)| *name == text);
    if found.is_none() {
        let names = ALL.map(|(name, _)| name).join("\", \"");
        value.problem(
            "is no known way to go on with an answer",
            format!("write one of \"{names}\""),
        );
    }
    found.map(|(_, resumes)| *resumes)
}

/// When a stream is held to have succeeded: at its first content, after so many characters, so long
/// after the first content, or at once.
fn commit(value: &Value<'_>) -> Option<Commit> {
    let text = value.string()?;
    match text.as_str() {
        "first_content" => return Some(Commit::FirstContent),
        "none" => return Some(Commit::AtOnce),
        _ => {}
    }
    if let Some(number) = text.strip_suffix("characters") {
        if let Ok(characters @ 1..=1_000_000) = number.trim().parse() {
            return Some(Commit::Characters(characters));
        }
    } else if text.starts_with(|first: char| first.is_ascii_digit()) {
        if let Some(held) = crate::config::units::duration(&text).filter(|held| !held.is_zero()) {
            return Some(Commit::Held(held));
        }
    }
    value.problem(
        format_args!("is no point to commit at: \"{text}\""),
        "write \"first_content\", \"200 characters\", \"300ms\" or \"none\"",
    );
    None
}

/// Against what answers are held: `"schema"`, the one that was asked for, or `"none"`.
fn validate(value: &Value<'_>) -> Option<bool> {
    let text = value.string()?;
    match text.as_str() {
        "schema" => Some(true),
        "none" => Some(false),
        _ => {
            value.problem(
                format_args!("is nothing to hold answers against: \"{text}\""),
                "write \"schema\" or \"none\"",
            );
            None
        }
    }
}
