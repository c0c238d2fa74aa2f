//! The smallest value that a JSON schema allows, for the schemas that callers really send.

use serde_json::{Map, Value, json};

/// A minimal instance: required properties only, first alternative, shortest array, lowest number.
///
/// Patterns, formats and conditions are not honoured.
pub(crate) fn instance(schema: &Value) -> Value {
    build(schema, schema, 0)
}

/// A schema that holds itself would have no end.
const DEEPEST: usize = 16;

fn build(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    if let Some(Value::String(reference)) = schema.get("$ref") {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| build(target, root, depth + 1));
    }
    for fixed in ["const", "default", "example"] {
        if let Some(value) = schema.get(fixed) {
            return value.clone();
        }
    }
    for list in ["enum", "examples"] {
        if let Some(value) = schema.get(list).and_then(|values| values.get(0)) {
            return value.clone();
        }
    }
    for alternatives in ["anyOf", "oneOf"] {
        if let Some(first) = schema.get(alternatives).and_then(|schemas| schemas.get(0)) {
            return build(first, root, depth + 1);
        }
    }
    if let Some(Value::Array(all)) = schema.get("allOf") {
        return all.iter().fold(Value::Null, |sum, part| {
            merge(sum, build(part, root, depth + 1))
        });
    }
    match kind(schema).as_str() {
        "object" => object(schema, root, depth),
        "array" => array(schema, root, depth),
        "string" => Value::String(string(schema)),
        "integer" => json!(lowest(schema).ceil() as i64),
        "number" => json!(lowest(schema)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!({}),
    }
}

/// The schema's type in small letters (Gemini writes `STRING`), or the one that its keys imply.
fn kind(schema: &Value) -> String {
    let named = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().find_map(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    match named {
        Some(name) => name.to_lowercase(),
        None if schema.get("properties").is_some() => "object".to_owned(),
        None if schema.get("items").is_some() => "array".to_owned(),
        None => String::new(),
    }
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let empty = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    // A schema that requires nothing still makes a better example with something in it.
    let wanted: Vec<&str> = match required {
        Some(names) => names.iter().filter_map(Value::as_str).collect(),
        None => properties.keys().map(String::as_str).collect(),
    };
    let built = wanted.into_iter().map(|name| {
        let value = properties
            .get(name)
            .map_or(json!({}), |part| build(part, root, depth + 1));
        (name.to_owned(), value)
    });
    Value::Object(built.collect())
}

fn array(schema: &Value, root: &Value, depth: usize) -> Value {
    let least = schema
        .get("minItems")
        .and_then(Value::as_u64)
        .unwrap_or(1)
        .min(64);
    let item = schema
        .get("items")
        .map_or(json!({}), |items| build(items, root, depth + 1));
    Value::Array((0..least).map(|_| item.clone()).collect())
}

fn string(schema: &Value) -> String {
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("date") => "2026-01-01",
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("email") => "someone@example.com",
        Some("uri" | "url") => "https://example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => "text",
    };
    let bound = |key| {
        let bound = schema.get(key).and_then(Value::as_u64);
        bound.map(|bound| usize::try_from(bound).unwrap_or(usize::MAX).min(4096))
    };
    let mut text = text.to_owned();
    let least = bound("minLength").unwrap_or(0);
    text.extend(std::iter::repeat_n('x', least.saturating_sub(text.len())));
    text.truncate(bound("maxLength").unwrap_or(usize::MAX));
    text
}

fn lowest(schema: &Value) -> f64 {
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|bound| bound + 1.0));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|bound| bound - 1.0));
    least.unwrap_or_else(|| most.map_or(1.0, |most| most.min(1.0)))
}

fn merge(sum: Value, part: Value) -> Value {
    match (sum, part) {
        (Value::Object(mut sum), Value::Object(part)) => {
            sum.extend(part);
            Value::Object(sum)
        }
        (_, part) => part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_is_required_and_nothing_else() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer", "minimum": 18},
                "note": {"type": "string"},
            },
            "required": ["name", "age"],
        });
        assert_eq!(instance(&schema), json!({"name": "text", "age": 18}));
    }

    #[test]
    fn follows_references_and_alternatives() {
        let schema = json!({
            "$defs": {"Colour": {"enum": ["red", "green"]}},
            "type": "object",
            "properties": {
                "colours": {"type": "array", "items": {"$ref": "#/$defs/Colour"}, "minItems": 2},
                "size": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                "ok": {"type": ["boolean", "null"]},
            },
            "required": ["colours", "size", "ok"],
        });
        assert_eq!(
            instance(&schema),
            json!({"colours": ["red", "red"], "size": 1.0, "ok": true})
        );
    }

    #[test]
    fn a_schema_that_holds_itself_comes_to_an_end() {
        let schema = json!({
            "type": "object",
            "properties": {"next": {"$ref": "#"}},
            "required": ["next"],
        });
        assert!(instance(&schema).is_object());
    }

    #[test]
    fn keeps_to_the_bounds() {
        let long = json!({"type": "STRING", "minLength": 10});
        assert_eq!(instance(&long).as_str().map(str::len), Some(10));
        let short = json!({"type": "string", "maxLength": 2});
        assert_eq!(instance(&short), json!("te"));
        assert_eq!(
            instance(&json!({"type": "integer", "exclusiveMinimum": 3})),
            json!(4)
        );
        assert_eq!(
            instance(&json!({"type": "number", "maximum": -2})),
            json!(-2.0)
        );
    }
}
