//! Fields of answers that we can do without, which must not spoil the rest: absent, `null` and of
//! the wrong type are all alike none.
//!
//! They are read in one go, but for [`any`], which goes over a value once to find its end.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use crate::wire_text::Text;

/// Anything.
pub(crate) fn any<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

/// A word or a number.
pub(crate) fn scalar<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<Scalar<'de>>,
{
    deserializer.deserialize_any(Scalars).map(T::from)
}

/// An object, whose own fields must be as lenient.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(Objects(PhantomData))
}

/// The same, where one with nothing in it is as good as none.
pub(crate) fn object_or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    object(deserializer).map(Option::unwrap_or_default)
}

/// A value that is not made of others.
pub(crate) enum Scalar<'a> {
    /// None of the others.
    Other,
    Text(Cow<'a, str>),
    Whole(u64),
    /// A number below zero, or with a fraction.
    Number(f64),
}

impl From<Scalar<'_>> for Option<String> {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Text(text) => Some(text.into_owned()),
            _ => None,
        }
    }
}

impl From<Scalar<'_>> for String {
    fn from(scalar: Scalar<'_>) -> Self {
        Option::from(scalar).unwrap_or_default()
    }
}

impl From<Scalar<'_>> for Option<f64> {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Whole(number) => Some(number as f64),
            Scalar::Number(number) => Some(number),
            _ => None,
        }
    }
}

impl From<Scalar<'_>> for Option<u64> {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Whole(number) => Some(number),
            // To some servers every number is one with a fraction.
            Scalar::Number(number) if number >= 0.0 && number.fract() == 0.0 => Some(number as u64),
            _ => None,
        }
    }
}

impl From<Scalar<'_>> for Option<u32> {
    fn from(scalar: Scalar<'_>) -> Self {
        Option::<u64>::from(scalar)?.try_into().ok()
    }
}

impl<'a> From<Scalar<'a>> for Option<Text<'a>> {
    fn from(scalar: Scalar<'a>) -> Self {
        match scalar {
            Scalar::Text(text) => Some(Text(text)),
            _ => None,
        }
    }
}

impl<'a> From<Scalar<'a>> for Text<'a> {
    fn from(scalar: Scalar<'a>) -> Self {
        Option::from(scalar).unwrap_or_default()
    }
}

impl From<Scalar<'_>> for u64 {
    fn from(scalar: Scalar<'_>) -> Self {
        Option::from(scalar).unwrap_or_default()
    }
}

impl From<Scalar<'_>> for u32 {
    fn from(scalar: Scalar<'_>) -> Self {
        Option::from(scalar).unwrap_or_default()
    }
}

struct Scalars;

impl<'de> Visitor<'de> for Scalars {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar<'de>, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar<'de>, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Scalar::Other)
    }
}

struct Objects<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Objects<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Option<T>, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Answer {
        #[serde(deserialize_with = "scalar")]
        word: Option<String>,
        #[serde(deserialize_with = "scalar")]
        number: Option<f64>,
        #[serde(deserialize_with = "scalar")]
        count: u32,
        #[serde(deserialize_with = "object")]
        inner: Option<Inner>,
        last: u8,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Inner {
        #[serde(deserialize_with = "scalar")]
        count: u64,
    }

    /// An answer whose fields all have this value.
    fn read(value: &str) -> Answer {
        let fields = ["word", "number", "count", "inner"];
        let fields = fields.map(|name| format!("\"{name}\":{value},"));
        let json = format!("{{{}\"last\":7}}", fields.concat());
        let answer: Answer = serde_json::from_str(&json).expect("nothing in it spoils the rest");
        assert_eq!(answer.last, 7, "{value}");
        answer
    }

    #[test]
    fn what_is_of_the_right_type_is_read() {
        assert_eq!(read("\"a\\tb\"").word.as_deref(), Some("a\tb"));
        assert_eq!(read("-1.5").number, Some(-1.5));
        assert_eq!((read("3").count, read("3").number), (3, Some(3.0)));
        assert_eq!((read("3.0").count, read("1e3").count), (3, 1000));
        assert_eq!(
            read("{\"count\":9,\"x\":[]}").inner,
            Some(Inner { count: 9 })
        );
        let wrong_within = read("{\"count\":[{}]}").inner;
        assert_eq!(wrong_within, Some(Inner::default()));
    }

    #[test]
    fn what_is_of_the_wrong_type_is_none() {
        for value in ["null", "true", "[1,{\"a\":\"b\"}]"] {
            let nothing = Answer {
                last: 7,
                ..Answer::default()
            };
            assert_eq!(read(value), nothing, "{value}");
        }
        for value in ["-3", "1.5", "4294967296", "1e99", "\"3\"", "{}"] {
            assert_eq!(read(value).count, 0, "{value}");
        }
    }
}
