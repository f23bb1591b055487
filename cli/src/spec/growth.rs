//! How memory grows after attempts that met their limit: `x2`, `x1.5,most=4g`.

use longshore_client::v1::MemoryGrowth;

use super::quantity::{ByteSize, Quantity, quantities};

/// How memory grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth(pub MemoryGrowth);

impl Quantity for Growth {
    const EXPECTED: &'static str =
        "by how much memory is multiplied, and what it never goes beyond, such as `x2` or `x1.5,most=4g`";

    fn from_text(text: &str) -> Option<Growth> {
        let (times, most) = text.split_once(',').map_or((text, None), |(times, most)| (times, Some(most)));
        let times: f64 = times.strip_prefix('x')?.parse().ok()?;
        let hundredths = (times * 100.0).round();
        let most_bytes = match most {
            Some(most) => ByteSize::from_text(most.strip_prefix("most=")?)?.0,
            None => 0,
        };
        let is_more = (101.0..=10_000.0).contains(&hundredths);
        is_more.then_some(Growth(MemoryGrowth { hundredths: hundredths as u32, most_bytes }))
    }

    #[cfg(test)]
    fn schema() -> schemars::Schema {
        let pattern = "^x[0-9]+(\\.[0-9]+)?(,most=[0-9].*)?$";
        schemars::json_schema!({ "type": "string", "description": Self::EXPECTED, "pattern": pattern })
    }
}

quantities! {
    [] Growth;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_by_how_much_and_how_far() {
        let read = |text: &str| text.parse::<Growth>().ok().map(|Growth(it)| (it.hundredths, it.most_bytes));
        assert_eq!(read("x2"), Some((200, 0)));
        assert_eq!(read("x1.5,most=4g"), Some((150, 4 << 30)));
        for bad in ["", "2", "x", "x1", "x-2", "x101", "xNaN", "x2,4g", "x2,most=", "x2,most=0", "x2,least=4g"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
