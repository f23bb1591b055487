//! Headers that travel with queries and answers: which, and how much of them.
//!
//! A closed list: what else a client, a leaf or a merge says is between those two and whoever they speak to directly. What is said of
//! bytes goes with these bytes; what is said of traces and of the answer that is wanted goes wherever the query goes.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::v1::HeaderField;

/// Of an answer to a query over HTTP, and among the metadata over gRPC: the time the query was given, in milliseconds, where that is
/// less than was asked for.
pub const DEADLINE_MS: &str = "longshore-deadline-ms";

/// What is said of bytes: with a query to its leaves, with a part to the merge, with an answer to the client.
pub static OF_BYTES: [HeaderName; 3] = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE];

/// What is said of a query besides: to leaves and the merge. (Traces: W3C Trace Context and Baggage.)
pub static OF_QUERIES: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

/// Those of them that are of traces, which gRPC's metadata may have too.
pub static OF_TRACES: [HeaderName; 3] =
    [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate"), HeaderName::from_static("baggage")];

/// Most bytes of all values together; headers of containers have about as much room.
pub const HEAD_BYTES: usize = 8 << 10;

/// Those of some headers that are on this list, as far as there is room. Of several of one name the first.
#[must_use]
pub fn chosen<'a>(from: &HeaderMap, list: impl IntoIterator<Item = &'a HeaderName>) -> HeaderMap {
    let mut head = Head::default();
    for name in list {
        if let Some(value) = from.get(name) {
            head.add(name.clone(), value.clone());
        }
    }
    head.fields
}

/// As they travel.
#[must_use]
pub fn to_wire(head: &HeaderMap) -> Vec<HeaderField> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        Some(HeaderField { name: name.as_str().to_owned(), value: value.to_str().ok()?.to_owned() })
    };
    head.iter().filter_map(field).collect()
}

/// Those that have travelled and are on this list, as far as there is room.
#[must_use]
pub fn from_wire<'a>(fields: &[HeaderField], list: impl IntoIterator<Item = &'a HeaderName> + Clone) -> HeaderMap {
    let mut head = Head::default();
    for field in fields {
        let name = list.clone().into_iter().find(|name| name.as_str() == field.name);
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_str(&field.value)) {
            head.add(name.clone(), value);
        }
    }
    head.fields
}

#[derive(Default)]
struct Head {
    fields: HeaderMap,
    bytes: usize,
}

impl Head {
    fn add(&mut self, name: HeaderName, value: HeaderValue) {
        // What is no text could not be said over gRPC.
        if self.bytes + value.len() <= HEAD_BYTES && value.to_str().is_ok() && !self.fields.contains_key(&name) {
            self.bytes += value.len();
            self.fields.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> HeaderField {
        HeaderField { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn what_is_on_the_list_comes_through_and_nothing_else() {
        let said = [
            field("content-type", "text/csv"),
            field("cookie", "x"),
            field("accept", "a\r\nb"),
            field("accept", "*/*"),
        ];
        let head = from_wire(&said, OF_BYTES.iter().chain(&OF_QUERIES));
        assert_eq!(to_wire(&head), [field("content-type", "text/csv"), field("accept", "*/*")]);
        assert_eq!(to_wire(&chosen(&head, &OF_BYTES)), [field("content-type", "text/csv")]);
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let long = "x".repeat(HEAD_BYTES);
        let said = [field("baggage", &long), field("tracestate", "y")];
        assert_eq!(to_wire(&from_wire(&said, &OF_QUERIES)), [field("baggage", &long)]);
        assert_eq!(to_wire(&from_wire(&[field("baggage", &(long + "x"))], &OF_QUERIES)), []);
    }
}
