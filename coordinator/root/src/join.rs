//! Merges that need no container: parts joined byte for byte, or as JSON.
//!
//! A JSON part is an array of items, or items one after the other (lines of JSON, or a single value). Parts come from containers,
//! so they are read as hostile: item by item, with nothing built of those that are not kept. A part that cannot be read is as good
//! as none: its shard is missing, with the reason. Each part is prepared as soon as it comes, and only what is left of it waits.

mod items;
mod sum;
mod top;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::task::spawn_blocking;

use self::{sum::Sums, top::Ranked};
use crate::message::Message;

/// From so many bytes on, a part is read on a thread that may take its time.
const LARGE_BYTES: usize = 64 << 10;

/// What says something of the bytes of an answer.
const DESCRIBING: [HeaderName; 3] = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE];

/// How parts are joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Join {
    /// Byte for byte, in the order of shards.
    #[default]
    Concat,
    /// All items of all parts as one array, in the order of shards.
    Array,
    /// An array of the best items.
    Top {
        /// So many at most; the engine's memory is in proportion to it.
        most: usize,
        /// Where an item has its number: the names of fields with points between them.
        by: String,
        /// The lowest number is the best, rather than the highest.
        ascending: bool,
    },
    /// The sum of the items: of numbers, or of objects of numbers name by name.
    Sum {
        /// Only of the number that each item has there.
        field: Option<String>,
    },
}

/// A part, ready to be joined.
#[derive(Debug)]
pub(crate) enum Prepared {
    Whole(Message),
    /// Items with commas between them.
    Items(Bytes),
    Top(Vec<Ranked>),
    Sums(Sums),
}

impl Prepared {
    /// The part as it came, where it was not read.
    pub(crate) fn into_message(self) -> Option<Message> {
        match self {
            Self::Whole(message) => Some(message),
            _ => None,
        }
    }
}

/// An answer as it is sent: the pieces one after the other.
pub(crate) type Joined = (HeaderMap, Vec<Bytes>);

impl Join {
    /// Whether parts are read, rather than passed on as they are.
    #[must_use]
    pub fn reads_parts(&self) -> bool {
        *self != Self::Concat
    }

    /// Reads a part, and keeps what is of use. It may be computed aside; dropping the future does not stop that.
    pub(crate) async fn prepare(&self, part: Message) -> Result<Prepared, String> {
        if part.body.len() < LARGE_BYTES || !self.reads_parts() {
            return self.read(part);
        }
        let join = self.clone();
        spawn_blocking(move || join.read(part)).await.unwrap_or_else(|_| Err("its answer cannot be read".to_owned()))
    }

    fn read(&self, part: Message) -> Result<Prepared, String> {
        if self.reads_parts()
            && let Some(encoding) = part.head.get(header::CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Err(format!(
                "its answer is encoded ({encoding:?}), and a merge of {} cannot read that",
                self.name()
            ));
        }
        let read = match self {
            Self::Concat => return Ok(Prepared::Whole(part)),
            Self::Array => items::array(&part.body).map(Prepared::Items),
            Self::Top { most, by, ascending } => top::best(&part.body, *most, by, *ascending).map(Prepared::Top),
            Self::Sum { field } => Sums::of(&part.body, field.as_deref()).map(Prepared::Sums),
        };
        read.map_err(|why| format!("its answer cannot be merged ({}): {why}", self.name()))
    }

    /// Joins the parts there are, which come in the order of shards.
    pub(crate) fn finish(&self, parts: Vec<(u32, Prepared)>) -> Result<Joined, String> {
        if *self == Self::Concat {
            return concat(parts);
        }
        let pieces = match self {
            Self::Concat => Vec::new(),
            Self::Array => bracketed(parts.into_iter().filter_map(|(_, part)| match part {
                Prepared::Items(items) if !items.is_empty() => Some(items),
                _ => None,
            })),
            Self::Top { most, .. } => {
                let ranked = parts.into_iter().filter_map(|(shard, part)| match part {
                    Prepared::Top(ranked) => Some((shard, ranked)),
                    _ => None,
                });
                bracketed(top::best_of_all(ranked, *most).into_iter())
            }
            Self::Sum { field } => {
                let mut sums = Sums::default();
                for (shard, part) in parts {
                    if let Prepared::Sums(part) = part {
                        sums.add(part).map_err(|why| format!("shard {shard}: {why}"))?;
                    }
                }
                vec![sums.written(field.as_deref())?]
            }
        };
        let json = HeaderValue::from_static("application/json");
        Ok((HeaderMap::from_iter([(header::CONTENT_TYPE, json)]), pieces))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Concat => "concat",
            Self::Array => "json-array",
            Self::Top { .. } => "top",
            Self::Sum { .. } => "sum",
        }
    }
}

/// Bytes after bytes. What all parts say of them alike is said of the whole; of several, an encoding that cannot be continued makes
/// no whole.
fn concat(parts: Vec<(u32, Prepared)>) -> Result<Joined, String> {
    let parts: Vec<(u32, Message)> =
        parts.into_iter().filter_map(|(shard, part)| Some((shard, part.into_message()?))).collect();
    let mut head = HeaderMap::new();
    let Some((first, rest)) = parts.split_first() else { return Ok((head, Vec::new())) };
    for name in DESCRIBING {
        let said = first.1.head.get(&name);
        let other = rest.iter().find(|(_, part)| part.head.get(&name) != said);
        if name == header::CONTENT_ENCODING {
            ensure_continuable(said, first.0, other.map(|(shard, _)| *shard), rest.is_empty())?;
        }
        if let (Some(said), None) = (said, other) {
            head.insert(name, said.clone());
        }
    }
    Ok((head, parts.into_iter().map(|(_, part)| part.body).filter(|body| !body.is_empty()).collect()))
}

fn ensure_continuable(said: Option<&HeaderValue>, first: u32, other: Option<u32>, alone: bool) -> Result<(), String> {
    if let Some(other) = other {
        return Err(format!(
            "the parts of shards {first} and {other} are encoded in different ways (content-encoding)"
        ));
    }
    match said.map(HeaderValue::as_bytes) {
        // Members of these may follow each other (RFC 1952, RFC 8878).
        None | Some(b"gzip" | b"zstd" | b"identity") => Ok(()),
        _ if alone => Ok(()),
        Some(encoding) => {
            Err(format!("parts with content-encoding {} cannot be joined", String::from_utf8_lossy(encoding)))
        }
    }
}

/// `[a,b]`
fn bracketed(items: impl Iterator<Item = Bytes>) -> Vec<Bytes> {
    let mut pieces = vec![Bytes::from_static(b"[")];
    for (at, item) in items.enumerate() {
        if at > 0 {
            pieces.push(Bytes::from_static(b","));
        }
        pieces.push(item);
    }
    pieces.push(Bytes::from_static(b"]"));
    pieces
}

#[cfg(test)]
mod tests;
