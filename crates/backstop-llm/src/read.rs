//! Reading a caller's request field by field.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Error, Json, object::Object};

/// A request body, its fields taken one by one; what is left over is unknown.
pub(crate) struct Fields<'a> {
    body: &'a Bytes,
    object: Object<'a>,
}

impl<'a> Fields<'a> {
    pub(crate) fn parse(body: &'a Bytes) -> Result<Self, Error> {
        let object = Object::parse(body)
            .map_err(|error| Error::invalid(format!("the body is not a JSON object: {error}")))?;
        Ok(Self { body, object })
    }

    /// The same in one pass with the value of one field. None where anything is wrong, or the field
    /// is not there.
    pub(crate) fn parse_reading<T>(body: &'a Bytes, name: &'static str) -> Option<(Self, T)>
    where
        T: Deserialize<'a>,
    {
        let (object, value) = Object::parse_reading(body, name)?;
        Some((Self { body, object }, value))
    }

    /// The value of a field; none where it is absent or `null`.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let Some(raw) = self.object.get(name) else {
            return Ok(None);
        };
        let value = serde_json::from_str(raw.get()).map_err(|error| {
            Error::invalid(format!("{name}: {}", without_place(&error))).with_param(name)
        })?;
        self.object.remove(name);
        Ok(value)
    }

    /// Where in the body the value of a field is.
    pub(crate) fn place(&self, name: &str) -> Option<Range<usize>> {
        let value = self.object.get(name)?.get();
        let start = value
            .as_ptr()
            .addr()
            .checked_sub(self.body.as_ptr().addr())?;
        Some(start..start + value.len())
    }

    /// The value of a field that must be there.
    pub(crate) fn require<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Error> {
        self.take(name)?.ok_or_else(|| {
            Error::invalid(format!("missing required parameter: '{name}'"))
                .with_param(name)
                .with_code("missing_required_parameter")
        })
    }

    /// The fields that nobody took.
    pub(crate) fn rest(self) -> Vec<(String, Json)> {
        self.object
            .iter()
            .map(|(name, value)| (name.to_owned(), Json::from(value)))
            .collect()
    }
}

/// The error without its line and column, which count from the beginning of a field and would
/// mislead.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
