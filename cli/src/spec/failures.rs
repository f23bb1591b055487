//! Failures as specs and flags name them: `oom`, `exit`, `exit:64-78`, `signal:9`.

use longshore_client::v1::{FailureClass, FailureRule};

use super::quantity::{Quantity, quantities};

/// Some failures: those of a class, with a code or codes where the class has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures(pub FailureRule);

impl Quantity for Failures {
    const EXPECTED: &'static str = "a class of failures (`exit`, `signal`, `oom`, `timeout`, `output`, `image`, `command` or `refused`), \
         with a code or two where it has any, such as `exit:2`, `exit:64-78` or `signal:9`";

    fn from_text(text: &str) -> Option<Failures> {
        let (word, codes) = match text.split_once(':') {
            Some((word, codes)) => (word, Some(codes)),
            None => (text, None),
        };
        let (class, most) = match word {
            "exit" => (FailureClass::Exit, 255),
            "signal" => (FailureClass::Signal, 64),
            "refused" => (FailureClass::Refused, 499),
            "oom" | "out-of-memory" => (FailureClass::OutOfMemory, 0),
            "timeout" => (FailureClass::Timeout, 0),
            "output" => (FailureClass::Output, 0),
            "image" => (FailureClass::Image, 0),
            "command" => (FailureClass::Command, 0),
            _ => return None,
        };
        let (from, to) = codes.map_or(Some((0, 0)), |codes| range(codes, most))?;
        Some(Failures(FailureRule { class: class.into(), from, to }))
    }

    #[cfg(test)]
    fn schema() -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": Self::EXPECTED })
    }
}

/// An exit code, or codes: `3`, `64-78`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCodes(pub FailureRule);

impl Quantity for ExitCodes {
    const EXPECTED: &'static str = "an exit code from 1 to 255, or some, such as `64-78`";

    fn from_text(text: &str) -> Option<ExitCodes> {
        let (from, to) = range(text, 255)?;
        Some(ExitCodes(FailureRule { class: FailureClass::Exit.into(), from, to }))
    }

    fn from_integer(number: u64) -> Option<ExitCodes> {
        Self::from_text(&number.to_string())
    }

    #[cfg(test)]
    fn schema() -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer"], "description": Self::EXPECTED })
    }
}

fn range(text: &str, most: i32) -> Option<(i32, i32)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (1 <= from && from <= to && to <= most).then_some((from, to))
}

quantities! {
    [] Failures;
    [] ExitCodes;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(FailureClass, i32, i32)> {
        text.parse::<Failures>().ok().map(|Failures(rule)| (rule.class(), rule.from, rule.to))
    }

    #[test]
    fn failures_are_a_class_and_codes_where_it_has_any() {
        assert_eq!(read("oom"), Some((FailureClass::OutOfMemory, 0, 0)));
        assert_eq!(read("exit"), Some((FailureClass::Exit, 0, 0)));
        assert_eq!(read("exit:64-78"), Some((FailureClass::Exit, 64, 78)));
        assert_eq!(read("signal:9"), Some((FailureClass::Signal, 9, 9)));
        for bad in ["", "exit:", "exit:0", "exit:256", "exit:3-2", "oom:1", "lost", "signal:65", "exit:-3", "3"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn exit_codes_are_numbers_or_ranges() {
        let read = |text: &str| text.parse::<ExitCodes>().ok().map(|ExitCodes(rule)| (rule.from, rule.to));
        assert_eq!((read("3"), read("3-5"), read("0"), read("x")), (Some((3, 3)), Some((3, 5)), None, None));
    }
}
