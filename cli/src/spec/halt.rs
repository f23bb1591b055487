//! How many failed items end a job, in the words of GNU parallel: `soon,fail=3`, `now,fail=5%`.

use longshore_client::v1::{self, halt::Fail};

use super::quantity::{Quantity, quantities};

/// How many failed items end a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halt(pub v1::Halt);

impl Quantity for Halt {
    const EXPECTED: &'static str = "`soon` (what runs may end) or `now` (it is stopped), and how many items fail before: `soon,fail=3`, `now,fail=5%`";

    fn from_text(text: &str) -> Option<Halt> {
        let (when, fail) = text.split_once(',').unwrap_or((text, "fail=1"));
        let now = match when {
            "soon" => false,
            "now" => true,
            _ => return None,
        };
        let fail = fail.strip_prefix("fail=")?;
        let fail = match fail.strip_suffix('%') {
            Some(percent) => Fail::Percent(percent.parse().ok().filter(|percent| (1..=100).contains(percent))?),
            None => Fail::Items(fail.parse().ok().filter(|items| *items > 0)?),
        };
        Some(Halt(v1::Halt { fail: Some(fail), now }))
    }

    #[cfg(test)]
    fn schema() -> schemars::Schema {
        let pattern = "^(soon|now)(,fail=[1-9][0-9]*%?)?$";
        schemars::json_schema!({ "type": "string", "description": Self::EXPECTED, "pattern": pattern })
    }
}

quantities! {
    [] Halt;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_is_when_and_at_how_many() {
        let read = |text: &str| text.parse::<Halt>().ok().map(|Halt(halt)| (halt.now, halt.fail));
        assert_eq!(read("soon,fail=3"), Some((false, Some(Fail::Items(3)))));
        assert_eq!(read("now,fail=5%"), Some((true, Some(Fail::Percent(5)))));
        assert_eq!(read("now"), Some((true, Some(Fail::Items(1)))));
        for bad in ["", "never", "soon,fail=0", "soon,fail=101%", "soon,success=1", "soon,fail=x", "fail=3"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
