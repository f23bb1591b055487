//! Errors as gRPC's codes, in which gRPC and the door answer.

use tonic::Code;

use crate::error::{Broken, Error, Refused, Unavailable};

/// The code of an error.
pub fn of(error: &Error) -> Code {
    match error {
        Error::Refused(refused, _) => match refused {
            Refused::Invalid => Code::InvalidArgument,
            Refused::NotFound => Code::NotFound,
            Refused::Exists => Code::AlreadyExists,
            Refused::NotNow => Code::FailedPrecondition,
            Refused::Denied => Code::PermissionDenied,
            Refused::Stranger => Code::Unauthenticated,
            Refused::Expired => Code::DeadlineExceeded,
            Refused::UsedUp => Code::OutOfRange,
        },
        Error::Unavailable(unavailable, _) => match unavailable {
            Unavailable::Full | Unavailable::Memory => Code::ResourceExhausted,
            // What waits and asks again will be answered: callers, and workers that join, go by this code.
            Unavailable::Busy | Unavailable::Stopping => Code::Unavailable,
            Unavailable::Ended => Code::Aborted,
        },
        Error::Broken(broken, _) => match broken {
            Broken::Data => Code::DataLoss,
            Broken::Internal => Code::Internal,
        },
    }
}
