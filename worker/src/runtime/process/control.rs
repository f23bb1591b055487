//! The life of one plain child.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{process::Child, sync::Mutex, time::timeout};

use super::marked;
use crate::runtime::{
    Control, PostMortem, RuntimeError,
    shim_link::{ReachableDirectory, ShimLink},
};

/// How long a shim may take to end its descendants and itself; it gives up on them earlier.
const ENDING: Duration = Duration::from_secs(8);

/// Most bytes of the shim's own words that are read.
const LAST_WORDS: i64 = 1000;

/// A shim and what runs below it.
pub(super) struct ProcessControl {
    id: String,
    child: Mutex<Child>,
    link: Arc<ShimLink>,
    mark: String,
    words: PathBuf,
    /// Open as long as the sandbox lives: the path of its socket may lead through it.
    _scratch: ReachableDirectory,
}

impl ProcessControl {
    pub(super) fn new(
        child: Child,
        link: Arc<ShimLink>,
        mark: String,
        words: PathBuf,
        scratch: ReachableDirectory,
    ) -> Self {
        let id = child.id().map_or_else(|| "process".into(), |pid| format!("process-{pid}"));
        Self { id, child: Mutex::new(child), link, mark, words, _scratch: scratch }
    }

    async fn end(&self) -> Result<(), RuntimeError> {
        self.link.hang_up();
        let mut child = self.child.lock().await;
        if timeout(ENDING, child.wait()).await.is_err() {
            let failed = |cause: std::io::Error| RuntimeError {
                doing: format!("killing the shim of {}", self.id),
                cause: cause.to_string(),
            };
            child.kill().await.map_err(failed)?;
        }
        let mark = self.mark.clone();
        end_marked(move |found| found == mark, &format!("ending what {} left", self.id)).await?;
        Ok(())
    }

    async fn look_after_the_end(&self) -> PostMortem {
        match timeout(ENDING, async { self.child.lock().await.wait().await }).await {
            Ok(Ok(status)) => describe(status, &last_words(&self.words)),
            Ok(Err(error)) => PostMortem { message: error.to_string(), ..PostMortem::default() },
            Err(_elapsed) => PostMortem { message: "the shim still runs".into(), ..PostMortem::default() },
        }
    }
}

impl Control for ProcessControl {
    fn id(&self) -> &str {
        &self.id
    }

    fn remove(&self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        Box::pin(self.end())
    }

    fn post_mortem(&self) -> BoxFuture<'_, PostMortem> {
        Box::pin(self.look_after_the_end())
    }
}

/// Ends all processes whose mark is wanted; answers the marks that were found.
pub(super) async fn end_marked(
    wanted: impl Fn(&str) -> bool + Send + 'static,
    doing: &str,
) -> Result<BTreeSet<String>, RuntimeError> {
    let failed = |cause: String| RuntimeError { doing: doing.to_owned(), cause };
    let found = tokio::task::spawn_blocking(move || marked::end_all(wanted)).await;
    found.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// Like an engine: a signal is told as an exit code of 128 and its number.
fn describe(status: ExitStatus, words: &str) -> PostMortem {
    let by_signal = status.signal().map(|signal| format!("the shim was ended by signal {signal}"));
    let message = [by_signal.as_deref().unwrap_or_default(), words];
    PostMortem {
        out_of_memory: false,
        exit_code: status.code().or(status.signal().map(|signal| 128 + signal)).map(i64::from),
        message: message.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; "),
    }
}

/// The end of what the shim itself wrote; without a file, nothing.
pub(super) fn last_words(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        // A shorter file is read from its beginning.
        let _ = file.seek(SeekFrom::End(-LAST_WORDS));
        let _ = file.take(LAST_WORDS.unsigned_abs()).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
