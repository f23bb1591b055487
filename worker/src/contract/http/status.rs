//! What a server's status means, for every role of its container.

use http::StatusCode;
use longshore_proto::v1::{Failure, FailureClass};

use crate::contract::failures;

/// What an answer means that is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// 429, 503: the server has too much to do now; it may be asked again, or another.
    Busy,
    /// 504: it knows that its time was over.
    Late,
    /// Any other 4xx but those of the next: this input is bad, and would be anywhere.
    Refused,
    /// Anything else: it went wrong here, like an exit code. So did 404, 405 and 408, which speak of how the server was asked
    /// (`POST /`, at our pace), and not of the input.
    Failed,
}

/// What a status means. After a success the body is the output.
pub(crate) fn meaning(status: StatusCode) -> Result<(), Trouble> {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(Trouble::Busy),
        StatusCode::GATEWAY_TIMEOUT => Err(Trouble::Late),
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::REQUEST_TIMEOUT => Err(Trouble::Failed),
        status if status.is_client_error() => Err(Trouble::Refused),
        _ => Err(Trouble::Failed),
    }
}

impl Trouble {
    /// The failure that an answer with this status is, which begins with these words.
    pub(crate) fn failure(self, status: StatusCode, words: &str) -> Failure {
        let (class, what) = match self {
            Self::Busy => (FailureClass::Infrastructure, "the server is busy"),
            Self::Late => (FailureClass::Timeout, "the server ran out of time"),
            Self::Refused => (FailureClass::Refused, "the server refused the input"),
            Self::Failed => (FailureClass::Exit, "the server failed"),
        };
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        failures::of_status(class, status.as_u16(), format!("{what} ({status}){words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_means_the_same_for_every_role() {
        let of = |status: u16| meaning(StatusCode::from_u16(status).unwrap());
        assert_eq!([of(200), of(204)], [Ok(()); 2]);
        assert_eq!([of(429), of(503)], [Err(Trouble::Busy); 2]);
        assert_eq!(of(504), Err(Trouble::Late));
        assert_eq!([of(400), of(403), of(413), of(422)], [Err(Trouble::Refused); 4]);
        assert_eq!([of(404), of(405), of(408)], [Err(Trouble::Failed); 3]);
        assert_eq!([of(302), of(500), of(502), of(599)], [Err(Trouble::Failed); 4]);
    }

    #[test]
    fn a_failure_has_the_status_as_its_code_and_the_servers_words() {
        let failure = Trouble::Refused.failure(StatusCode::PAYLOAD_TOO_LARGE, "too much");
        assert_eq!((failure.class(), failure.code), (FailureClass::Refused, 413));
        assert_eq!(failure.message, "the server refused the input (413 Payload Too Large): too much");
        assert_eq!(Trouble::Late.failure(StatusCode::GATEWAY_TIMEOUT, "").class(), FailureClass::Timeout);
    }
}
