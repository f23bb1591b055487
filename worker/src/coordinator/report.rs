//! From the end of an attempt to the result the coordinator is told: large outputs are put first.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_proto::v1::{self, Failure, FailureClass, NamedBlob};
use prost::Message;
use tokio::sync::{Semaphore, mpsc};
use tonic::Code;

use super::{connection::Coordinator, held::Held};
use crate::{
    executor::{Content, Ended, Finished, Output, WorkId},
    pauses::Pauses,
};

/// Bytes of outputs that travel with one result.
const INLINE_BYTES: u64 = 1 << 20;

/// Largest result: below what one message may have.
const RESULT_BYTES: usize = 6 << 20;

/// Results whose outputs are being put at once.
const PUTS: usize = 8;

/// First and longest pause between tries to put outputs.
const PUT_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Turns ended attempts into results until there are no more.
pub(crate) async fn report(
    mut finished: mpsc::Receiver<Finished>,
    coordinator: Coordinator,
    held: Arc<Held>,
    results: mpsc::UnboundedSender<v1::Result>,
) {
    let puts = Arc::new(Semaphore::new(PUTS));
    while let Some(ended) = finished.recv().await {
        let (id, namespace) = (ended.id, ended.namespace);
        let result = v1::Result {
            duration_us: u64::try_from(ended.duration.as_micros()).unwrap_or(u64::MAX),
            stdout_log: ended.stdout_log,
            stderr_log: ended.stderr_log,
            ..v1::Result::default()
        };
        match ended.ended {
            Ended::Success { outputs } => {
                let (mut named, to_put) = divide(outputs);
                if to_put.is_empty() {
                    tell(&held, &results, id, success(result, named));
                    continue;
                }
                // Putting may take long; quick results do not wait for it.
                let (coordinator, held, results) = (coordinator.clone(), Arc::clone(&held), results.clone());
                let puts = Arc::clone(&puts);
                tokio::spawn(async move {
                    let Ok(permit) = puts.acquire_owned().await else { return };
                    let (places, to_put): (Vec<Vec<usize>>, Vec<Output>) = to_put.into_iter().unzip();
                    let result = match put(&coordinator, &held, (id, &namespace), to_put).await {
                        Ok(digests) => {
                            for (places, digest) in places.into_iter().zip(digests) {
                                let digest = Bytes::copy_from_slice(digest.as_bytes());
                                places.into_iter().for_each(|place| named[place].digest = digest.clone());
                            }
                            success(result, named)
                        }
                        Err(why) => failed(result, FailureClass::Infrastructure, why.to_string()),
                    };
                    tell(&held, &results, id, result);
                    drop(permit);
                });
            }
            Ended::Failure(failure) => {
                let end = Some(v1::result::End::Failure(failure));
                tell(&held, &results, id, v1::Result { end, ..result });
            }
            Ended::Returned => {
                let end = Some(v1::result::End::Returned(v1::Returned {}));
                tell(&held, &results, id, v1::Result { end, ..result });
            }
        }
    }
}

fn tell(held: &Held, results: &mpsc::UnboundedSender<v1::Result>, id: WorkId, result: v1::Result) {
    if let Some(result) = held.finish(id, result) {
        // The link may be ending; what is not settled is said again.
        let _ = results.send(result);
    }
}

/// What the result says of its outputs, and those that have to be put, with their places in it: their digests are known
/// when they are. A file that arrives under several names is put once.
fn divide(outputs: Vec<Output>) -> (Vec<NamedBlob>, Vec<(Vec<usize>, Output)>) {
    let mut inline_bytes = 0;
    let mut to_put: Vec<(Vec<usize>, Output)> = Vec::new();
    let mut known = HashMap::new();
    let mut named = Vec::with_capacity(outputs.len());
    for output in outputs {
        let mut blob = NamedBlob {
            path: output.path.clone(),
            digest: output.digest.map_or_else(Bytes::new, |digest| Bytes::copy_from_slice(digest.as_bytes())),
            size: output.size,
            executable: output.executable,
            inline: None,
            origin: String::new(),
        };
        match &output.content {
            Content::Inline(bytes) if inline_bytes + output.size <= INLINE_BYTES => {
                inline_bytes += output.size;
                blob.inline = Some(bytes.clone());
            }
            content => {
                let at = match content {
                    Content::File(file) => *known.entry(Arc::as_ptr(file)).or_insert(to_put.len()),
                    Content::Inline(_) => to_put.len(),
                };
                match to_put.get_mut(at) {
                    Some((places, _)) => places.push(named.len()),
                    None => to_put.push((vec![named.len()], output)),
                }
            }
        }
        named.push(blob);
    }
    (named, to_put)
}

fn success(result: v1::Result, outputs: Vec<NamedBlob>) -> v1::Result {
    let end = Some(v1::result::End::Success(v1::Success { outputs }));
    let result = v1::Result { end, ..result };
    if result.encoded_len() <= RESULT_BYTES {
        return result;
    }
    let why = "the names of its outputs are too long to be reported together".to_owned();
    failed(v1::Result { end: None, ..result }, FailureClass::Output, why)
}

fn failed(result: v1::Result, class: FailureClass, message: String) -> v1::Result {
    let failure = Failure { class: class.into(), message, ..Failure::default() };
    v1::Result { end: Some(v1::result::End::Failure(failure)), ..result }
}

/// Why outputs are not put any more.
#[derive(Debug, thiserror::Error)]
#[error("its outputs cannot be stored: {0}")]
struct Unstored(String);

/// Puts outputs, again and again for as long as somebody wants them: hours of computing are not to be lost to an hour
/// without a coordinator, or without room on its disk.
async fn put(
    coordinator: &Coordinator,
    held: &Held,
    (id, namespace): (WorkId, &Arc<str>),
    outputs: Vec<Output>,
) -> Result<Vec<blake3::Hash>, Unstored> {
    let mut pauses = Pauses::new(PUT_PAUSES.0, PUT_PAUSES.1);
    loop {
        match coordinator.put(namespace, &outputs).await {
            Ok(digests) => return Ok(digests),
            Err(status) if status.code() == Code::InvalidArgument || !held.holds(id) => {
                return Err(Unstored(status.message().to_owned()));
            }
            Err(status) => {
                tracing::info!(%status, "outputs cannot be put yet");
                tokio::time::sleep(pauses.next()).await;
            }
        }
    }
}
