//! The ids of tool calls, where a model is particular about them.

use std::borrow::Cow;

use crate::{Chat, Part, abilities::base_name};

/// How long Mistral's ids are.
const LENGTH: usize = 9;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The id of an answer's call as its provider gave it, or else one that is made up of the answer's
/// id and the call's place in it.
pub(super) fn given(id: String, answer: &str, place: usize) -> String {
    if id.is_empty() {
        return format!("call_{answer}_{place}");
    }
    id
}

/// The id of a call or of its result as `model` takes it.
///
/// Mistral's models refuse a conversation in which an id is anything but nine letters and digits,
/// as those of other providers are. Such an id is put into nine digits that depend on it alone, so
/// that call and result still belong together. No id need be put back: a model never repeats one.
pub(super) fn write<'a>(id: &'a str, model: &str) -> Cow<'a, str> {
    if fits(id) || !is_mistral(model) {
        return Cow::Borrowed(id);
    }
    // FNV-1a.
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let digits = (0..LENGTH).map(|_| {
        let digit = DIGITS[(hash % 36) as usize];
        hash /= 36;
        char::from(digit)
    });
    Cow::Owned(digits.collect())
}

/// Whether `model` takes the id of every call as it is.
pub(super) fn all_fit(chat: &Chat, model: &str) -> bool {
    let mut parts = chat.messages.iter().flat_map(|message| &message.content);
    let all_fit = parts.all(|part| match part {
        Part::ToolCall(call) => fits(&call.id),
        Part::ToolResult(result) => fits(&result.id),
        _ => true,
    });
    all_fit || !is_mistral(model)
}

fn fits(id: &str) -> bool {
    id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_mistral(model: &str) -> bool {
    let name = base_name(model).to_ascii_lowercase();
    let name = name.strip_prefix("ft:").unwrap_or(&name);
    let name = name.strip_prefix("open-").unwrap_or(name);
    [
        "codestral",
        "devstral",
        "magistral",
        "ministral",
        "mistral",
        "mixtral",
        "pixtral",
    ]
    .iter()
    .any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_nine_letters_and_digits_for_mistral_only() {
        let id = "toolu_01A09q90qw90lq917835lq9";
        assert_eq!(write(id, "gpt-5.5"), id);
        for model in [
            "mistral-large-latest",
            "mistralai/Mixtral-8x7B",
            "open-mistral-7b",
            "ft:open-mistral-7b:mine",
        ] {
            let own = write(id, model);
            assert_eq!(own.len(), 9, "{own}");
            assert!(own.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(own, write(id, model), "call and result agree");
            assert_ne!(own, write("toolu_02", model));
            assert_eq!(write("a1B2c3D4e", model), "a1B2c3D4e");
        }
    }
}
