//! JSON that is kept as it came.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{Dialect, Error, object::Object, wrong};

/// Reads a value out of bytes. They are looked at once for being text at all, and not again string
/// by string.
pub(crate) fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => serde_json::from_str(text),
        // Says where it is no text.
        Err(_) => serde_json::from_slice(bytes),
    }
}

/// Reads a plain answer.
pub(crate) fn answer<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    from_bytes(body).map_err(|error| {
        Error::malformed("the answer is not JSON of the right shape").with_source(error)
    })
}

/// Reads an event of a stream.
pub(crate) fn event<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, Error> {
    from_bytes(data).map_err(|error| {
        Error::malformed("an event of the stream can't be read").with_source(error)
    })
}

/// A piece of JSON kept as the bytes it came in: a tool's schema, a field that we don't know.
///
/// What we don't have to understand is not parsed and written again, so that numbers, the order of
/// keys and escapes reach the other side as they were.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Takes the text over as it is, if it is JSON.
    ///
    /// # Errors
    ///
    /// The text is not JSON.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.into()).map(Self)
    }

    /// Any value as JSON; one that can't be (a map with keys that are no strings) is `null`.
    #[must_use]
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        serde_json::value::to_raw_value(value).map_or_else(|_| Self::null(), Self)
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// The JSON text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }

    /// The word that it has under this name; an empty one where it has none.
    pub(crate) fn word(&self, name: &str) -> String {
        let object = Object::parse(self.get().as_bytes()).unwrap_or_default();
        let word = object.get(name);
        word.and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default()
    }

    /// Reads a value out of it.
    ///
    /// # Errors
    ///
    /// The JSON is of another shape.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.get())
    }

    /// Reads the value of a request's field of this name, which came in this dialect.
    ///
    /// # Errors
    ///
    /// The JSON is of another shape; the error says so in the words of the dialect.
    pub fn read_field<T: DeserializeOwned>(
        &self,
        dialect: Dialect,
        name: &str,
    ) -> Result<T, Error> {
        wrong::read(dialect, name, self.get())
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned())
    }
}

impl PartialEq for Json {
    /// Two pieces are equal where they are written alike, byte for byte.
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}
