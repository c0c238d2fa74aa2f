//! The top level of a JSON object, its values untouched.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::Json;

/// A JSON object read one level deep: names in their order, values as they were written.
///
/// It is how a request is changed in one field and left alone in all others.
#[derive(Debug, Default)]
pub struct Object<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

impl<'a> Object<'a> {
    /// Reads the top level of an object.
    ///
    /// # Errors
    ///
    /// The bytes are not a JSON object.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        crate::json::from_bytes(json)
    }

    /// The same in one pass with the value of one field, which is not among the others then. None
    /// where anything is wrong, or the field is there twice or not at all.
    pub(crate) fn parse_reading<T: Deserialize<'a>>(
        json: &'a [u8],
        name: &'static str,
    ) -> Option<(Self, T)> {
        let text = std::str::from_utf8(json).ok()?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = deserializer.deserialize_map(Fields::reading(name)).ok()?;
        deserializer.end().ok()?;
        let (object, value) = read;
        Some((object, value?))
    }

    /// The value of a field, the last one where it is there twice.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.fields
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, value)| &**value)
    }

    /// What the list under this name holds; nothing where there is none.
    pub(crate) fn list(&self, name: &str) -> Vec<Json> {
        let list = self.get(name);
        list.and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default()
    }

    /// All fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.fields.iter().map(|(n, v)| (&**n, &**v))
    }

    /// Gives a field a value: in its place where it is there already, else at the end.
    pub fn set(&mut self, name: &str, value: &(impl serde::Serialize + ?Sized)) {
        let Ok(value) = serde_json::value::to_raw_value(value) else {
            return;
        };
        let mut places = self.fields.iter_mut().filter(|(n, _)| n == name);
        match places.next_back() {
            Some(place) => place.1 = Cow::Owned(value),
            None => self
                .fields
                .push((Cow::Owned(name.to_owned()), Cow::Owned(value))),
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| n != name);
    }

    /// The object as JSON again, untouched values byte for byte as they came.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let size: usize = self.iter().map(|(n, v)| n.len() + v.get().len() + 4).sum();
        let mut out = Vec::with_capacity(size + 2);
        out.push(b'{');
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            crate::json_write::string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
        out.push(b'}');
        out
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (object, _) = deserializer.deserialize_map(Fields::<()>::reading(None))?;
        Ok(object)
    }
}

/// Reads fields one level deep, and the value of one of them all the way.
struct Fields<T> {
    read: Option<&'static str>,
    value: PhantomData<T>,
}

impl<T> Fields<T> {
    fn reading(name: impl Into<Option<&'static str>>) -> Self {
        let read = name.into();
        let value = PhantomData;
        Self { read, value }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = (Object<'de>, Option<T>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(12);
        let mut value = None;
        while let Some(Key(name)) = map.next_key()? {
            if self.read != Some(&*name) {
                fields.push((name, Cow::Borrowed(map.next_value::<&'de RawValue>()?)));
            } else if value.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("a field is there twice"));
            }
        }
        Ok((Object { fields }, value))
    }
}

/// A name that is borrowed where it holds no escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
