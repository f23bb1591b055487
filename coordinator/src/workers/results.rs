//! What workers report, made ready for the core: outputs stored, logs stored, words bounded, blame laid.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use longshore_core::{AttemptId, Blame, End, Finished, ItemKey, JobId};
use longshore_proto::{
    SMALL_BLOB_BYTES,
    v1::{self, BlobList, BlobListRef, Failure, FailureClass, NamedBlob, Outcome},
};
use prost::Message;

use crate::{
    api::validate,
    kept::catalog::{Catalog, hash},
    limits,
};

/// Whether taking in the result needs the disk: it brings bytes, or names some that are elsewhere.
pub fn has_bytes(result: &v1::Result) -> bool {
    let outputs = match &result.end {
        Some(v1::result::End::Success(success)) => success.outputs.as_slice(),
        _ => &[],
    };
    let logs = [&result.stdout_log, &result.stderr_log];
    logs.iter().any(|log| !log.is_empty()) || outputs.iter().any(|output| output.inline != Some(Bytes::new()))
}

/// Turns one reported result into what the core takes in, or says how the worker broke the contract.
pub fn take_in(catalog: &Arc<Catalog>, worker: &str, result: v1::Result) -> Result<Finished, String> {
    let id = result.id.ok_or("a result without an attempt")?;
    let item = item_of(&result.job_id, result.stage, result.index)?;
    let mut outcome = Outcome {
        worker: worker.to_owned(),
        attempt: result.attempt,
        duration_us: result.duration_us,
        stdout_digest: keep_log(catalog, &result.stdout_log),
        stderr_digest: keep_log(catalog, &result.stderr_log),
        ..Outcome::default()
    };
    let end = match result.end.ok_or("a result without an end")? {
        v1::result::End::Success(success) => match keep_outputs(catalog, success.outputs, &mut outcome) {
            Ok(outputs) => End::Succeeded { outputs, detail: outcome.encode_to_vec() },
            Err(message) => {
                let failure = v1::Failure { class: FailureClass::Infrastructure.into(), message, ..Failure::default() };
                failed(outcome, failure)
            }
        },
        v1::result::End::Failure(failure) => failed(outcome, failure),
        v1::result::End::Returned(_) => End::Returned,
    };
    Ok(Finished { id: AttemptId { epoch: id.epoch, number: id.number }, item, end, run_us: result.duration_us })
}

/// The item that three numbers name.
pub fn item_of(job: &[u8], stage: u32, index: u64) -> Result<ItemKey, String> {
    let job = JobId(job.try_into().map_err(|_| "a job id that is not 16 bytes")?);
    let stage = u16::try_from(stage).map_err(|_| "a stage beyond all bounds")?;
    Ok(ItemKey { job, stage, index })
}

/// The detail of a failure that no worker reported.
pub fn detail(result: &v1::Result, failure: Failure) -> Vec<u8> {
    let outcome = Outcome { duration_us: result.duration_us, failure: Some(failure), ..Outcome::default() };
    outcome.encode_to_vec()
}

/// The newest failures of each job, for those who watch. Soft: what counts is in the records.
#[derive(Default)]
pub struct RecentFailures {
    jobs: Mutex<HashMap<JobId, VecDeque<v1::ItemFailure>>>,
}

impl RecentFailures {
    /// Failures kept per job.
    const KEPT: usize = 8;
    /// Jobs whose failures are kept.
    const JOBS: usize = 1_024;

    /// Takes note of a result, if it is a failure.
    pub fn note(&self, result: &v1::Result) {
        let Some(v1::result::End::Failure(failure)) = &result.end else {
            return;
        };
        let Ok(item) = item_of(&result.job_id, result.stage, result.index) else {
            return;
        };
        let mut failure = failure.clone();
        truncate(&mut failure.message, 512);
        let tail = failure.stderr_tail.len().saturating_sub(limits::STDERR_TAIL_BYTES);
        failure.stderr_tail = failure.stderr_tail.slice(tail..);
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() >= Self::JOBS && !jobs.contains_key(&item.job) {
            jobs.clear();
        }
        let recent = jobs.entry(item.job).or_default();
        if recent.len() == Self::KEPT {
            recent.pop_front();
        }
        recent.push_back(v1::ItemFailure {
            stage: result.stage,
            index: result.index,
            path: result.path.clone(),
            attempt: result.attempt,
            failure: Some(failure),
        });
    }

    /// The newest failures of a job, oldest first.
    pub fn of(&self, job: JobId) -> Vec<v1::ItemFailure> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.get(&job).map(|recent| recent.iter().cloned().collect()).unwrap_or_default()
    }
}

fn failed(mut outcome: Outcome, mut failure: Failure) -> End {
    let blame = blame(failure.class());
    let tail = failure.stderr_tail.len().saturating_sub(limits::STDERR_TAIL_BYTES);
    failure.stderr_tail = failure.stderr_tail.slice(tail..);
    truncate(&mut failure.message, 512);
    outcome.failure = Some(failure);
    End::Failed { blame, detail: outcome.encode_to_vec() }
}

/// Whose fault a class of failure is.
fn blame(class: FailureClass) -> Blame {
    match class {
        FailureClass::Exit
        | FailureClass::Signal
        | FailureClass::OutOfMemory
        | FailureClass::Timeout
        | FailureClass::Image
        | FailureClass::Output
        | FailureClass::Unspecified => Blame::Item,
        FailureClass::Command | FailureClass::Refused => Blame::Hopeless,
        FailureClass::SlotLost => Blame::Slot,
        FailureClass::Infrastructure => Blame::Infrastructure,
    }
}

/// Logs are a help, not a result: one that cannot be stored is left out.
fn keep_log(catalog: &Catalog, log: &Bytes) -> Bytes {
    if log.is_empty() {
        return Bytes::new();
    }
    match catalog.put_bytes(log) {
        Ok(digest) => Bytes::copy_from_slice(&digest),
        Err(error) => {
            tracing::warn!(%error, "a log cannot be stored");
            Bytes::new()
        }
    }
}

/// Stores what travels along and checks that the rest is here; answers how many outputs there are.
fn keep_outputs(catalog: &Catalog, outputs: Vec<NamedBlob>, outcome: &mut Outcome) -> Result<u64, String> {
    if outputs.len() > limits::OUTPUTS {
        return Err(format!("the worker reports {} outputs, more than {}", outputs.len(), limits::OUTPUTS));
    }
    let count = outputs.len() as u64;
    let mut list = BlobList::default();
    for mut output in outputs {
        validate::path(&output.path).map_err(|error| format!("the worker reports an output: {error}"))?;
        keep_output(catalog, &mut output)?;
        list.blobs.push(output);
    }
    if list.encoded_len() > limits::RECORD_DETAIL_BYTES {
        let digest = catalog.put(&list).map_err(|error| error.to_string())?;
        outcome.outputs_ref =
            Some(BlobListRef { digest: Bytes::copy_from_slice(&digest), count, size: list.encoded_len() as u64 });
    } else {
        outcome.outputs = Some(list);
    }
    Ok(count)
}

fn keep_output(catalog: &Catalog, output: &mut NamedBlob) -> Result<(), String> {
    if output.digest.len() != longshore_proto::DIGEST_BYTES {
        return Err(format!("the worker reports output {:?} without a digest", output.path));
    }
    let digest = hash(&output.digest);
    match output.inline.take() {
        Some(bytes) if bytes.len() as u64 == output.size && bytes.len() <= SMALL_BLOB_BYTES => {
            catalog.blobs().append_small(&digest, &bytes).map_err(|error| error.to_string())?;
            Ok(())
        }
        Some(bytes) => {
            Err(format!("the worker reports output {:?} with {} bytes of {}", output.path, bytes.len(), output.size))
        }
        None if catalog.blobs().contains(&digest) => Ok(()),
        None => Err(format!("the worker reports output {:?} but never put it", output.path)),
    }
}

/// Cuts a text at a character boundary.
fn truncate(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}
