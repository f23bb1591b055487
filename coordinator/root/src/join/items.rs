//! The items of a JSON part, one after the other, and the numbers in them.

use std::{borrow::Cow, fmt};

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, value::RawValue};

/// Calls `take` with each item and its place. Nothing is kept of an item but what `take` keeps.
///
/// # Errors
/// When the part is no JSON, or what `take` says, with the place of the item.
pub(super) fn each<'a>(part: &'a [u8], take: impl FnMut(&'a str) -> Result<(), String>) -> Result<(), String> {
    let begin = part.iter().position(|byte| !byte.is_ascii_whitespace());
    let mut taker = Taker { take, at: 0, refused: None };
    let read = if begin.is_some_and(|at| part[at] == b'[') {
        let mut json = serde_json::Deserializer::from_slice(part);
        json.deserialize_seq(&mut taker).and_then(|()| json.end())
    } else {
        let mut values = serde_json::Deserializer::from_slice(part).into_iter::<&RawValue>();
        values.try_for_each(|value| {
            taker.item(value?);
            if taker.refused.is_some() { Err(serde::de::Error::custom("refused")) } else { Ok(()) }
        })
    };
    match (taker.refused, read) {
        (Some(why), _) => Err(why),
        (None, Err(error)) => Err(format!("it is no JSON: {error}")),
        (None, Ok(())) => Ok(()),
    }
}

struct Taker<F> {
    take: F,
    at: u64,
    refused: Option<String>,
}

impl<'a, F: FnMut(&'a str) -> Result<(), String>> Taker<F> {
    fn item(&mut self, value: &'a RawValue) {
        if let Err(why) = (self.take)(value.get()) {
            self.refused = Some(format!("item {}: {why}", self.at));
        }
        self.at += 1;
    }
}

impl<'a, F: FnMut(&'a str) -> Result<(), String>> Visitor<'a> for &mut Taker<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(value) = items.next_element::<&RawValue>()? {
            self.item(value);
            if self.refused.is_some() {
                return Err(serde::de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// All items with commas between them.
pub(super) fn array(part: &[u8]) -> Result<Bytes, String> {
    // Items that stand close together, as {}{} does, need a comma more each: a byte for two.
    let mut items = BytesMut::with_capacity(part.len());
    each(part, |item| {
        if !items.is_empty() {
            items.put_u8(b',');
        }
        items.put_slice(item.as_bytes());
        Ok(())
    })?;
    Ok(items.freeze())
}

/// The number an item has at this path.
///
/// # Errors
/// When there is none.
pub(super) fn number_at(item: &str, path: &str) -> Result<Number, String> {
    let mut json = serde_json::Deserializer::from_str(item);
    let found = At(path).deserialize(&mut json);
    found.ok().flatten().ok_or_else(|| format!("it has no number at {path:?}"))
}

/// A value's number at a path; the empty path is the value itself.
struct At<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Number>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Option<Number>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Number>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or an object")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<Number>, E> {
        Ok(self.0.is_empty().then(|| number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<Number>, E> {
        Ok(self.0.is_empty().then(|| number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Option<Number>, E> {
        Ok(Number::from_f64(number).filter(|_| self.0.is_empty()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Number>, A::Error> {
        let (name, rest) = self.0.split_once('.').unwrap_or((self.0, ""));
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if !self.0.is_empty() && key == name {
                found = map.next_value_seed(At(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}
