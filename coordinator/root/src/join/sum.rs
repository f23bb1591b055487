//! Sums of numbers, and of objects of numbers name by name.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use bytes::Bytes;
use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::Number;

use super::items::{each, number_at};

/// Most names of one sum: they are held in memory.
const NAMES: usize = 100_000;

/// Most bytes of all names of one sum.
const NAMES_BYTES: usize = 16 << 20;

/// A sum under way: exact as long as all numbers are whole.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sum {
    whole: i128,
    rest: f64,
    is_whole: bool,
}

impl Sum {
    fn of(number: &Number) -> Result<Self, String> {
        let whole = number.as_i128().filter(|_| !number.is_f64());
        match (whole, number.as_f64()) {
            (Some(whole), _) => Ok(Self { whole, rest: 0.0, is_whole: true }),
            (None, Some(rest)) => Ok(Self { whole: 0, rest, is_whole: false }),
            (None, None) => Err("a number is too large".to_owned()),
        }
    }

    fn add(&mut self, other: Self) {
        // Of numbers of 64 bits no sum of as many as there can be comes near the bound.
        self.whole = self.whole.saturating_add(other.whole);
        self.rest += other.rest;
        self.is_whole &= other.is_whole;
    }

    #[allow(clippy::cast_precision_loss, reason = "a sum with parts of numbers is as exact as those are")]
    fn written(self) -> Result<String, String> {
        if self.is_whole {
            return Ok(self.whole.to_string());
        }
        let sum = Number::from_f64(self.whole as f64 + self.rest);
        sum.map(|sum| sum.to_string()).ok_or_else(|| "the sum is too large".to_owned())
    }
}

/// What items are summed up to.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// Of numbers, or of one field.
    number: Option<Sum>,
    /// Of objects.
    names: BTreeMap<String, Sum>,
    names_bytes: usize,
    /// There was an object, with or without names.
    of_objects: bool,
}

impl Sums {
    /// The sums of a part's items.
    pub(super) fn of(part: &[u8], field: Option<&str>) -> Result<Self, String> {
        let mut sums = Self::default();
        each(part, |item| {
            match field {
                Some(field) => sums.add_number(Sum::of(&number_at(item, field)?)?),
                None => match serde_json::from_str(item) {
                    Ok(Item::Number(number)) => sums.add_number(Sum::of(&number)?),
                    Ok(Item::Object(numbers)) => sums.add_all(numbers)?,
                    Err(_) => return Err("it is neither a number nor an object of at most 100,000 numbers".to_owned()),
                },
            }
            sums.ensure_one_kind()
        })?;
        Ok(sums)
    }

    /// Adds those of another part.
    pub(super) fn add(&mut self, other: Self) -> Result<(), String> {
        if let Some(number) = other.number {
            self.add_number(number);
        }
        self.of_objects |= other.of_objects;
        for (name, sum) in other.names {
            self.add_named(name, sum)?;
        }
        self.ensure_one_kind()
    }

    /// As JSON: a number, or an object; without any item the number 0.
    pub(super) fn written(self, field: Option<&str>) -> Result<Bytes, String> {
        let key = |name: &str| serde_json::to_string(name).map_err(|error| error.to_string());
        let text = match (field, self.number) {
            (None, None) if self.of_objects => {
                let members =
                    self.names.into_iter().map(|(name, sum)| Ok(format!("{}:{}", key(&name)?, sum.written()?)));
                format!("{{{}}}", members.collect::<Result<Vec<_>, String>>()?.join(","))
            }
            (None, number) => number.map_or_else(|| Ok("0".to_owned()), Sum::written)?,
            (Some(field), number) => {
                format!("{{{}:{}}}", key(field)?, number.map_or_else(|| Ok("0".to_owned()), Sum::written)?)
            }
        };
        Ok(text.into())
    }

    fn add_number(&mut self, sum: Sum) {
        match &mut self.number {
            Some(number) => number.add(sum),
            None => self.number = Some(sum),
        }
    }

    fn add_all(&mut self, numbers: Vec<(String, Number)>) -> Result<(), String> {
        self.of_objects = true;
        numbers.into_iter().try_for_each(|(name, number)| self.add_named(name, Sum::of(&number)?))
    }

    fn add_named(&mut self, name: String, sum: Sum) -> Result<(), String> {
        let (names, name_bytes) = (self.names.len(), name.len());
        match self.names.entry(name) {
            Entry::Occupied(mut known) => known.get_mut().add(sum),
            Entry::Vacant(_) if names == NAMES || self.names_bytes + name_bytes > NAMES_BYTES => {
                return Err(format!("there are more than {NAMES} names, or they take more than {NAMES_BYTES} bytes"));
            }
            Entry::Vacant(new) => {
                new.insert(sum);
                self.names_bytes += name_bytes;
            }
        }
        Ok(())
    }

    fn ensure_one_kind(&self) -> Result<(), String> {
        if self.number.is_some() && self.of_objects {
            return Err("numbers and objects have no sum together".to_owned());
        }
        Ok(())
    }
}

/// What can be summed up.
enum Item {
    Number(Number),
    Object(Vec<(String, Number)>),
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or an object of numbers")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
        Ok(Item::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
        Ok(Item::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Item, E> {
        Number::from_f64(number).map(Item::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut numbers = Vec::new();
        while let Some(member) = map.next_entry()? {
            if numbers.len() == NAMES {
                return Err(serde::de::Error::custom("too many names"));
            }
            numbers.push(member);
        }
        Ok(Item::Object(numbers))
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(ItemVisitor)
    }
}
