//! What is wrong with a caller's request, in the words of its dialect: which field it is, what was
//! expected there, and what was found. How it is read here is nobody's business.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::{Dialect, Error};

/// Reads the value of the field at `place`: `max_tokens`.
pub(crate) fn read<T: DeserializeOwned>(
    dialect: Dialect,
    place: impl Display,
    json: &str,
) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| explain::<T>(dialect, place, json, &error))
}

/// Reads the value once more, to see where in it the error is.
fn explain<T: DeserializeOwned>(
    dialect: Dialect,
    place: impl Display,
    json: &str,
    error: &serde_json::Error,
) -> Error {
    let mut place = place.to_string();
    let json = &mut serde_json::Deserializer::from_str(json);
    if let Err(error) = serde_path_to_error::deserialize::<_, T>(json) {
        for segment in error.path() {
            match segment {
                Segment::Map { key } => field(&mut place, key),
                Segment::Seq { index } if dialect == Dialect::Anthropic => {
                    field(&mut place, &index.to_string());
                }
                Segment::Seq { index } => place.push_str(&format!("[{index}]")),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
    }
    let told = without_place(error);
    match name_of_missing(&told) {
        Some(name) => {
            field(&mut place, name);
            missing(dialect, &place)
        }
        None => wrong(dialect, &place, &told),
    }
}

fn field(place: &mut String, name: &str) {
    if !place.is_empty() {
        place.push('.');
    }
    place.push_str(name);
}

/// A field that must be there is not.
pub(crate) fn missing(dialect: Dialect, place: &str) -> Error {
    let message = match dialect {
        Dialect::Anthropic => format!("{place}: Field required"),
        _ => format!("Missing required parameter: '{place}'."),
    };
    Error::invalid(message)
        .with_param(place)
        .with_code("missing_required_parameter")
}

/// A field is of a wrong type, or out of its range.
fn wrong(dialect: Dialect, place: &str, told: &str) -> Error {
    let Some((found, expected)) = found_and_expected(told) else {
        return Error::invalid(format!("{place}: {told}")).with_param(place);
    };
    let message = match dialect {
        Dialect::Anthropic => format!("{place}: Input should be {expected}, but is {found}"),
        _ => format!("Invalid type for '{place}': expected {expected}, but got {found} instead."),
    };
    Error::invalid(message)
        .with_param(place)
        .with_code("invalid_type")
}

/// No message is by someone of that name.
pub(crate) fn unknown_role(dialect: Dialect, place: impl Display, role: &str) -> Error {
    let place = format!("{place}.role");
    match role {
        "" => missing(dialect, &place),
        role => Error::invalid(format!("{place}: unknown role '{role}'")).with_param(place),
    }
}

/// What is wrong with JSON as a whole.
pub(crate) fn words(error: &serde_json::Error) -> String {
    match found_and_expected(&without_place(error)) {
        Some((found, expected)) => format!("expected {expected}, but got {found}"),
        // The place is that of a slip in the writing, and counts from the beginning.
        None => error.to_string(),
    }
}

/// The error without its line and column, which count from the beginning of a field and would
/// mislead.
fn without_place(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" at line ") {
        text.truncate(at);
    }
    text
}

fn name_of_missing(told: &str) -> Option<&str> {
    told.strip_prefix("missing field `")?.strip_suffix('`')
}

/// Takes apart what `serde` says of a value that is not what it should be.
fn found_and_expected(told: &str) -> Option<(&str, &str)> {
    let (what, rest) = told.split_once(": ").unwrap_or(("", told));
    if told.starts_with("invalid length ") {
        // Only a list has one.
        return Some(("an array", plain(told.rsplit_once(", expected ")?.1)));
    }
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let found = match (what, found.split_once(' ').unwrap_or((found, ""))) {
        ("invalid type", ("boolean", _)) => "a boolean",
        ("invalid type", ("floating", value)) => value.rsplit('`').nth(1)?,
        ("invalid type", ("integer", _)) => "an integer",
        ("invalid type", ("map", _)) => "an object",
        ("invalid type", ("null", _)) => "null",
        ("invalid type", ("sequence", _)) => "an array",
        ("invalid type", ("string", _)) => "a string",
        ("invalid value", (_, value)) if value.starts_with('`') => value.trim_matches('`'),
        _ => return None,
    };
    Some((found, plain(expected)))
}

/// A type of Rust's in JSON's words.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a non-negative integer",
        "i8" | "i16" | "i32" | "i64" => "an integer",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{Json, wire_text::TextOr};

    #[expect(dead_code, reason = "only errors are looked at")]
    #[derive(Deserialize)]
    struct Message {
        role: String,
        content: Option<TextOr<Json>>,
        tries: Option<u32>,
        bias: Option<i64>,
        heat: Option<f64>,
        stop: Option<Vec<bool>>,
    }

    fn told(dialect: Dialect, json: &str) -> (String, String) {
        let read = read::<Vec<Message>>(dialect, "messages", json);
        let error = read.err().unwrap_or_else(|| panic!("{json} is right"));
        let param = error.param().expect("a field is to blame");
        (error.message().to_owned(), param.to_owned())
    }

    #[test]
    fn a_field_of_a_wrong_type_is_told_by_its_path() {
        for (fields, param, expected, found) in [
            (
                r#""content":5"#,
                "content",
                "a string or a list of parts",
                "an integer",
            ),
            (
                r#""tries":"many, expected u8""#,
                "tries",
                "a non-negative integer",
                "a string",
            ),
            (r#""tries":-1"#, "tries", "a non-negative integer", "-1"),
            (r#""tries":1.5"#, "tries", "a non-negative integer", "1.5"),
            (r#""bias":{}"#, "bias", "an integer", "an object"),
            (r#""heat":true"#, "heat", "a number", "a boolean"),
            (r#""stop":"\n""#, "stop", "an array", "a string"),
            (r#""stop":[true,null]"#, "stop[1]", "a boolean", "null"),
        ] {
            let json = format!(r#"[{{"role":"user"}},{{"role":"user",{fields}}}]"#);
            let place = format!("messages[1].{param}");
            let message = format!(
                "Invalid type for '{place}': expected {expected}, but got {found} instead."
            );
            assert_eq!(told(Dialect::OpenAi, &json), (message, place));
        }
        let (message, _) = told(Dialect::Anthropic, r#"[{"role":[]}]"#);
        assert_eq!(
            message,
            "messages.0.role: Input should be a string, but is an array"
        );
    }

    #[test]
    fn what_is_no_object_is_told_without_the_name_of_ours() {
        for (json, found) in [(r#"["hello"]"#, "a string"), ("[[]]", "an array")] {
            let (message, param) = told(Dialect::Responses, json);
            assert_eq!(param, "messages[0]");
            assert!(
                message.ends_with(&format!("expected an object, but got {found} instead.")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_field_that_is_missing_is_told_by_its_path() {
        let missing = |dialect| told(dialect, "[{}]");
        let (message, param) = missing(Dialect::OpenAi);
        assert_eq!(message, "Missing required parameter: 'messages[0].role'.");
        assert_eq!(param, "messages[0].role");
        let (message, _) = missing(Dialect::Anthropic);
        assert_eq!(message, "messages.0.role: Field required");
    }
}
