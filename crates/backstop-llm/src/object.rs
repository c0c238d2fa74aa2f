//! The top level of a JSON object, its values untouched.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

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

    /// The value of a field, the last one where it is there twice.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.fields
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, value)| &**value)
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
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::with_capacity(12);
                while let Some(Key(name)) = map.next_key()? {
                    fields.push((name, Cow::Borrowed(map.next_value::<&'de RawValue>()?)));
                }
                Ok(Object { fields })
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// A name that is borrowed where it holds no escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
