//! Reading a caller's request field by field.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Dialect, Error, Json, object::Object, wrong};

/// A request body, its fields taken one by one; what is left over is unknown.
pub(crate) struct Fields<'a> {
    dialect: Dialect,
    body: &'a Bytes,
    object: Object<'a>,
}

impl<'a> Fields<'a> {
    pub(crate) fn parse(dialect: Dialect, body: &'a Bytes) -> Result<Self, Error> {
        let object = Object::parse(body).map_err(|error| {
            let why = wrong::words(&error);
            Error::invalid(format!("the body is not a JSON object: {why}"))
        })?;
        Ok(Self {
            dialect,
            body,
            object,
        })
    }

    /// The same in one pass with the value of one field. None where anything is wrong, or the field
    /// is not there.
    pub(crate) fn parse_reading<T>(
        dialect: Dialect,
        body: &'a Bytes,
        name: &'static str,
    ) -> Option<(Self, T)>
    where
        T: Deserialize<'a>,
    {
        let (object, value) = Object::parse_reading(body, name)?;
        let fields = Self {
            dialect,
            body,
            object,
        };
        Some((fields, value))
    }

    /// The value of a field; none where it is absent or `null`.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let Some(raw) = self.object.get(name) else {
            return Ok(None);
        };
        let value = wrong::read(self.dialect, name, raw.get())?;
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
        self.take(name)?
            .ok_or_else(|| wrong::missing(self.dialect, name))
    }

    /// The fields that nobody took.
    pub(crate) fn rest(self) -> Vec<(String, Json)> {
        self.object
            .iter()
            .map(|(name, value)| (name.to_owned(), Json::from(value)))
            .collect()
    }
}
