//! A server's answer as an attempt's end.

use std::{fs::File, io, io::Write, os::unix::fs::OpenOptionsExt, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use longshore_proto::{
    SMALL_BLOB_BYTES,
    v1::{Failure, FailureClass},
};

use crate::{
    contract::{amount, failures, http::Answer, yard::Yard},
    slot::plan::Plan,
    work::{Content, Ended, Output, OwnedFile, Work},
};

/// Most bytes of a refusal's body that are shown.
const WORDS: usize = 200;

/// Why an answer has no end.
pub(super) enum ReadError {
    /// The server broke off.
    Broken(hyper::Error),
    /// Our own trouble.
    Disk(io::Error),
}

/// Reads an answer.
pub(super) async fn read(
    response: Response<Answer>,
    work: &Work,
    plan: &Plan,
    yard: &Yard,
) -> Result<Ended, ReadError> {
    let status = response.status();
    let mut body = response.into_body();
    if !status.is_success() {
        return Ok(Ended::Failure(refusal(status, &first_words(&mut body).await)));
    }
    let mut kept = Kept::default();
    while let Some(piece) = body.frame().await {
        let Ok(data) = piece.map_err(ReadError::Broken)?.into_data() else { continue };
        kept.add(data, yard).map_err(ReadError::Disk)?;
        if kept.size > plan.bounds.max_output_bytes {
            let most = amount::bytes(plan.bounds.max_output_bytes);
            let message = format!("output larger than {most} (max_output_bytes)");
            return Ok(Ended::Failure(failures::failure(FailureClass::Output, message)));
        }
    }
    Ok(Ended::Success { outputs: vec![kept.into_output(work)] })
}

/// Bytes in memory, until there are many.
#[derive(Default)]
struct Kept {
    size: u64,
    hasher: blake3::Hasher,
    bytes: BytesMut,
    file: Option<(File, OwnedFile)>,
}

impl Kept {
    fn add(&mut self, piece: Bytes, yard: &Yard) -> io::Result<()> {
        self.size += piece.len() as u64;
        self.hasher.update(&piece);
        if let Some((file, _)) = &mut self.file {
            return file.write_all(&piece);
        }
        self.bytes.extend_from_slice(&piece);
        if self.bytes.len() > SMALL_BLOB_BYTES {
            let path = yard.new_file();
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
            let owned = OwnedFile::new(path);
            file.write_all(&std::mem::take(&mut self.bytes))?;
            self.file = Some((file, owned));
        }
        Ok(())
    }

    fn into_output(self, work: &Work) -> Output {
        let content = match self.file {
            Some((_, owned)) => Content::File(Arc::new(owned)),
            None => Content::Inline(self.bytes.freeze()),
        };
        Output { path: work.path.clone(), digest: Some(self.hasher.finalize()), size: self.size, content }
    }
}

fn refusal(status: StatusCode, words: &str) -> Failure {
    let (class, what) = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            (FailureClass::Infrastructure, "the server is busy")
        }
        status if status.is_client_error() => (FailureClass::Refused, "the server refused the input"),
        _ => (FailureClass::Exit, "the server failed"),
    };
    let words = if words.is_empty() { String::new() } else { format!(": {words}") };
    let mut failure = failures::failure(class, format!("{what} ({status}){words}"));
    failure.code = status.as_u16().into();
    failure
}

/// The beginning of a body, escaped.
async fn first_words(body: &mut Answer) -> String {
    let mut words = Vec::new();
    while words.len() < WORDS
        && let Some(Ok(piece)) = body.frame().await
        && let Ok(data) = piece.into_data()
    {
        words.extend_from_slice(&data[..data.len().min(WORDS)]);
    }
    words.truncate(WORDS);
    failures::one_line(&String::from_utf8_lossy(&words))
}
