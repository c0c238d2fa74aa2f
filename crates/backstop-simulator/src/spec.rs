//! Faults as they are written in JSON.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fault::{Fault, InvalidFault};

/// How late, how long, how often and after how many chunks, unless it is said.
const LATE: Duration = Duration::from_secs(3);
const RETRY_AFTER: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_secs(1);
const AFTER: usize = 2;

/// Reads a preset's name, a fault in JSON, or an array of these, one a call.
pub(crate) fn faults(body: &[u8]) -> Result<Vec<Fault>, InvalidFault> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) if text.starts_with(['{', '[', '"']) => {
            return Err(InvalidFault(format!("not JSON: {error}")));
        }
        Err(_) => Value::from(text),
    };
    match json {
        Value::Array(list) => {
            let once = |fault: Fault| {
                if fault.times.is_some() {
                    fault
                } else {
                    fault.times(1)
                }
            };
            list.into_iter().map(|one| fault(one).map(once)).collect()
        }
        one => Ok(vec![fault(one)?]),
    }
}

fn fault(value: Value) -> Result<Fault, InvalidFault> {
    match value {
        Value::String(name) => preset(&name),
        Value::Number(number) => {
            let status = number
                .as_u64()
                .and_then(|number| u16::try_from(number).ok());
            status_fault(status.unwrap_or_default())
        }
        value => serde_json::from_value::<Spec>(value)
            .map_err(|error| InvalidFault(format!("not a fault: {error}")))?
            .fault(),
    }
}

fn status_fault(status: u16) -> Result<Fault, InvalidFault> {
    match status {
        200..=999 => Ok(Fault::status(status)),
        _ => Err(InvalidFault(
            "a status is a number from 200 to 999".to_owned(),
        )),
    }
}

/// The fault of this name, with what it would otherwise be told at its default.
pub(crate) fn preset(name: &str) -> Result<Fault, InvalidFault> {
    Spec::default().preset(name)
}

/// What a fault is made from.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Spec {
    preset: Option<String>,
    status: Option<u16>,
    headers: Map<String, Value>,
    body: Option<Value>,
    /// How many chunks come before a break.
    after: Option<usize>,
    /// How late, for a preset of lateness; the wait, for `rate_limited`; the interval, for `pings`.
    by: Option<Span>,
    delay: Option<Span>,
    #[serde(alias = "first_n")]
    times: Option<u64>,
    probability: Option<f64>,
    seed: u64,
}

impl Spec {
    fn fault(mut self) -> Result<Fault, InvalidFault> {
        let mut fault = match (self.preset.take(), self.status) {
            (Some(name), None) => self.preset(&name)?,
            (None, Some(status)) => status_fault(status)?,
            _ => {
                return Err(InvalidFault(format!(
                    "a fault has either a \"preset\" or a \"status\"; the presets are {}",
                    names()
                )));
            }
        };
        for (name, value) in self.headers {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let header = name
                .parse::<HeaderName>()
                .ok()
                .zip(HeaderValue::from_str(&text).ok());
            let (name, value) = header
                .ok_or_else(|| InvalidFault(format!("{name:?}: {text:?} is not a header")))?;
            fault = fault.header(name, value);
        }
        fault = match self.body {
            Some(Value::String(text)) => fault.body(text),
            Some(json) => fault.body(json.to_string()),
            None => fault,
        };
        if let Some(Span(delay)) = self.delay {
            fault = fault.delay(delay);
        }
        if let Some(times) = self.times {
            fault = fault.times(times);
        }
        if let Some(probability) = self.probability {
            fault = fault.probability(probability, self.seed);
        }
        Ok(fault)
    }

    fn preset(&self, name: &str) -> Result<Fault, InvalidFault> {
        let preset = PRESETS.iter().find(|(known, _)| *known == name);
        preset.map(|(_, make)| make(self)).ok_or_else(|| {
            InvalidFault(format!(
                "unknown preset {name:?}; the presets are {}",
                names()
            ))
        })
    }

    fn after(&self) -> usize {
        self.after.unwrap_or(AFTER)
    }

    fn by(&self, default: Duration) -> Duration {
        self.by.map_or(default, |Span(by)| by)
    }
}

type Preset = (&'static str, fn(&Spec) -> Fault);

const PRESETS: [Preset; 28] = [
    ("overloaded", |_| Fault::overloaded()),
    ("unavailable", |_| Fault::unavailable()),
    ("error", |_| Fault::error()),
    ("rate_limited", |it| Fault::rate_limited(it.by(RETRY_AFTER))),
    ("quota", |_| Fault::quota()),
    ("denied", |_| Fault::denied()),
    ("forbidden", |_| Fault::forbidden()),
    ("missing", |_| Fault::missing()),
    ("invalid", |_| Fault::invalid()),
    ("too_large", |_| Fault::too_large()),
    ("filtered", |_| Fault::filtered()),
    ("late", |it| Fault::late(it.by(LATE))),
    ("slow", |it| Fault::slow(it.by(LATE))),
    ("hang", |_| Fault::hang()),
    ("reset", |_| Fault::reset()),
    ("reset_after", |it| Fault::reset_after(it.after())),
    ("refuse", |_| Fault::refuse()),
    ("cut", |it| Fault::cut(it.after())),
    ("close", |it| Fault::close(it.after())),
    ("stall", |it| Fault::stall(it.after())),
    ("pings", |it| Fault::pings(it.after(), it.by(INTERVAL))),
    ("error_event", |it| Fault::error_event(it.after())),
    ("error_first", |_| Fault::error_event(0)),
    ("html", |_| Fault::html()),
    ("empty", |_| Fault::empty()),
    ("error_200", |_| Fault::error_200()),
    ("garbage", |_| Fault::garbage()),
    ("none", |_| Fault::none()),
];

fn names() -> String {
    PRESETS.map(|(name, _)| name).join(", ")
}

/// A time as text: `"300ms"`, `"2s"`, `"1.5s"`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => number.parse::<f64>().map(|number| number / 1000.0),
            (None, Some(number)) => number.parse(),
            (None, None) => text.parse(),
        };
        let span = number
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        span.map(Self)
            .ok_or_else(|| format!("{text:?} is not a time like \"300ms\" or \"2s\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Vec<String> {
        faults(body.as_bytes())
            .unwrap()
            .iter()
            .map(Fault::to_string)
            .collect()
    }

    fn refusal(body: &str) -> String {
        faults(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_preset_is_known_by_its_name_and_told_of_in_the_documentation() {
        for (name, _) in PRESETS {
            assert!(preset(name).is_ok(), "{name}");
            let told = include_str!("../README.md").contains(&format!("`{name}`"));
            assert!(told, "{name}");
        }
    }

    #[test]
    fn a_name_alone_a_string_and_an_object_mean_the_same() {
        for body in [
            "overloaded",
            " overloaded\n",
            "\"overloaded\"",
            r#"{"preset":"overloaded"}"#,
        ] {
            assert_eq!(names(body), ["overloaded"]);
        }
        assert_eq!(names("503"), ["status 503"]);
    }

    #[test]
    fn the_members_of_an_array_are_for_one_call_each() {
        let sequence = r#"["hang", 503, {"preset": "cut", "after": 1, "times": 3}]"#;
        assert_eq!(names(sequence), ["hang", "status 503", "cut after 1"]);
        let times: Vec<_> = faults(sequence.as_bytes())
            .unwrap()
            .iter()
            .map(|fault| fault.times)
            .collect();
        assert_eq!(times, [Some(1), Some(1), Some(3)]);
    }

    #[test]
    fn times_are_in_milliseconds_or_seconds() {
        for (text, span) in [("250ms", 250), ("2s", 2000), ("1.5s", 1500), ("3", 3000)] {
            let Span(parsed) = Span::try_from(text.to_owned()).unwrap();
            assert_eq!(parsed, Duration::from_millis(span));
        }
        for text in ["", "s", "-1s", "NaN", "1e400s", "two"] {
            Span::try_from(text.to_owned()).unwrap_err();
        }
    }

    #[test]
    fn a_refusal_says_what_would_have_been_right() {
        assert!(refusal("overlaoded").contains("the presets are overloaded"));
        assert!(refusal(r#"{"preset":"cut","afterwards":1}"#).contains("afterwards"));
        assert!(refusal(r#"{"times":1}"#).contains("either a \"preset\" or a \"status\""));
        assert!(refusal(r#"{"preset":"#).contains("not JSON"));
        assert!(refusal("20").contains("from 200 to 999"));
    }
}
