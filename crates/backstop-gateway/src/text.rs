//! Chains and errors as a person reads them.

use std::{error::Error, fmt::Write as _};

use crate::config::{Candidate, Config, Model, Target, write_duration};

/// Every model's chain, and its limits.
#[must_use]
pub fn chains(config: &Config) -> String {
    let mut out = String::new();
    for (name, model) in &config.models {
        let asked = match name.as_str() {
            "*" => "any model",
            name => name,
        };
        // Writing to a string can't fail, here and below.
        let _ = writeln!(out, "{asked}");
        for (i, candidate) in model.candidates.iter().enumerate() {
            let last = i + 1 == model.candidates.len();
            let branch = if last { "└─" } else { "├─" };
            let _ = writeln!(out, "  {branch} {}", line(config, model, candidate));
        }
        let _ = writeln!(
            out,
            "     first token within {}, then every {}, all within {}",
            write_duration(model.timeout.first_token),
            write_duration(model.timeout.idle),
            write_duration(model.timeout.total),
        );
        if let Some(hedge) = model.hedge {
            let _ = writeln!(
                out,
                "     another is started beside one that has not begun after {}",
                write_duration(hedge.first_token),
            );
        }
    }
    out
}

/// What an error says, and after it what each of its causes adds to that.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            let _ = write!(told, ": {text}");
        }
        cause = error.source();
    }
    told
}

fn line(config: &Config, model: &Model, candidate: &Candidate) -> String {
    let name = &candidate.name;
    match &candidate.target {
        Target::Provider { provider, .. } => {
            let attempts = candidate.attempts.unwrap_or(model.retry.attempts);
            let times = if attempts.get() == 1 { "" } else { "s" };
            let at = config
                .providers
                .get(provider)
                .map_or("", |provider| &provider.base_url);
            format!("{name:<32} {attempts} attempt{times}   {at}")
        }
        Target::Cached(max_age) => {
            format!(
                "{name:<32} an answer of the last {}",
                write_duration(*max_age)
            )
        }
        Target::Reply(text) => {
            let mut start: String = text.chars().take(48).collect();
            if start.len() < text.len() {
                start.push('…');
            }
            format!("{name:<32} “{start}”")
        }
    }
}
