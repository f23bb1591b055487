//! A registry of this test's own: Debian's docker-registry on a loopback port, behind passwords, with all it keeps in a
//! directory that goes with it.
//!
//! Skipped where it is not installed, with a line on standard error; `LONGSHORE_REQUIRE_DOCKER=1` makes that a failure.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use bollard::{
    Docker,
    auth::DockerCredentials,
    body_full,
    query_parameters::{
        CreateImageOptionsBuilder, PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
    },
};
use futures_util::TryStreamExt;
use tempfile::TempDir;

/// The users, with bcrypt's digests of their passwords.
const USERS: &str = "ann:$2b$04$RTfXKVRGoNIJmtqByzg9VuhxlNUfa1F65Qm5ODTUPF2OcUBvmUAca
bob:$2b$04$qpjf5XdmSS9gKG3slODxa.u1HZ6oCZ3rRDVCA17M2sXWK2m9HyS8m
";

/// What is shown for ann. Its base64 is another in each of the two alphabets.
pub const ANN: &str = "ann:ann-secret~?>";

/// What is shown for bob.
pub const BOB: &str = "bob:bob-secret";

/// A running registry.
pub struct Registry {
    process: Mutex<Option<Child>>,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
    /// References of images that the engine may have of it.
    made: Mutex<BTreeSet<String>>,
    _dir: TempDir,
}

impl Registry {
    /// Starts one; `None` where it is not installed.
    pub fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (users, data) = (dir.path().join("users"), dir.path().join("data"));
        fs::write(&users, USERS).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: 127.0.0.1:0, secret: of-a-test}}\nauth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            data.display(),
            users.display()
        );
        fs::write(dir.path().join("config.yml"), config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(dir.path().join("config.yml"));
        let mut process = match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn() {
            Ok(process) => process,
            Err(error) if std::env::var_os("LONGSHORE_REQUIRE_DOCKER").is_none_or(|value| value != "1") => {
                eprintln!(
                    "skipped, as there is no docker-registry (LONGSHORE_REQUIRE_DOCKER=1 makes this a failure): {error}"
                );
                return None;
            }
            Err(error) => panic!("docker-registry, of the package of that name: {error}"),
        };
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let says = |line: String| Some(line.split_once("listening on ")?.1.split('"').next()?.to_owned());
        let address = lines.find_map(says).expect("the registry says where it listens");
        // It writes on, and must not be held up.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process: Mutex::new(Some(process)), address, made: Mutex::default(), _dir: dir })
    }

    /// A reference to something in it.
    pub fn reference(&self, name: &str) -> String {
        let reference = format!("{}/{name}", self.address);
        self.made.lock().unwrap().insert(reference.clone());
        reference
    }

    /// Puts an image of this root directory there, as `name:tag`, and leaves none on the engine. Answers the reference and the
    /// digest.
    pub fn push(&self, name: &str, root: &[u8], changes: &[&str]) -> (String, String) {
        let reference = self.reference(name);
        let (repository, tag) = reference.rsplit_once(':').expect("a tag is named");
        let mut options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
        options.changes = changes.iter().map(|&change| change.to_owned()).collect();
        options.changes.push("LABEL longshore=test".to_owned());
        let pushing = PushImageOptionsBuilder::new().tag(tag).build();
        let (user, password) = BOB.split_once(':').unwrap();
        let credentials = DockerCredentials {
            username: Some(user.to_owned()),
            password: Some(password.to_owned()),
            ..DockerCredentials::default()
        };
        let root = root.to_vec().into();
        let digest = block_on(async {
            let docker = client().await;
            docker
                .create_image(Some(options), Some(body_full(root)), None)
                .try_for_each(|_| async { Ok(()) })
                .await
                .unwrap();
            let pushed = docker.push_image(repository, Some(pushing), Some(credentials));
            pushed.try_for_each(|_| async { Ok(()) }).await.unwrap();
            let found = docker.inspect_image(&reference).await.unwrap();
            found.repo_digests.unwrap().iter().find_map(|told| Some(told.strip_prefix(repository)?[1..].to_owned()))
        });
        self.remove(&reference);
        (reference, digest.expect("what was pushed has a digest"))
    }

    /// Pulls an image by hand, as whoever operates the engine would.
    pub fn pull_by_hand(&self, reference: &str) {
        let (repository, tag) = reference.rsplit_once(':').unwrap();
        let options = CreateImageOptionsBuilder::new().from_image(repository).tag(tag).build();
        let (user, password) = BOB.split_once(':').unwrap();
        let credentials = DockerCredentials {
            username: Some(user.to_owned()),
            password: Some(password.to_owned()),
            ..DockerCredentials::default()
        };
        block_on(async {
            let pulled = client().await.create_image(Some(options), None, Some(credentials));
            pulled.try_for_each(|_| async { Ok(()) }).await.unwrap();
        });
    }

    /// Gives an image of the engine a name.
    pub fn tag(&self, reference: &str, name: &str) {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        block_on(async { client().await.tag_image(reference, Some(options)).await.unwrap() });
        self.made.lock().unwrap().insert(name.to_owned());
    }

    /// Takes an image off the engine, if it is there.
    pub fn remove(&self, reference: &str) {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        block_on(async {
            let _ = client().await.remove_image(reference, Some(options), None).await;
        });
    }

    /// Ends it: from now on nobody listens there.
    pub fn stop(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// A directory with Docker's configuration for these credentials, as `docker login` leaves it.
    pub fn log_in(&self, dir: &Path, credentials: &str) {
        let auth = data_encoding::BASE64.encode(credentials.as_bytes());
        let config = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, self.address);
        fs::write(dir.join("config.json"), config).unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        made.iter().for_each(|reference| self.remove(reference));
        // What was pulled by its digest has no tag.
        let prefix = format!("{}/", self.address);
        block_on(async {
            let docker = client().await;
            let all =
                docker.list_images(None::<bollard::query_parameters::ListImagesOptions>).await.unwrap_or_default();
            let ours =
                all.into_iter().flat_map(|image| image.repo_digests).filter(|digest| digest.starts_with(&prefix));
            for digest in ours {
                let options = RemoveImageOptionsBuilder::new().force(true).build();
                let _ = docker.remove_image(&digest, Some(options), None).await;
            }
        });
    }
}

async fn client() -> Docker {
    Docker::connect_with_defaults().unwrap().negotiate_version().await.unwrap()
}

/// Also from within another runtime.
fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}
